"""Whatever happens to a bundle's bytes, it is noticed; and told for what it is."""

import lib_samples as samples
import pytest
from lib import frames
from lib.bundle import (
    BundleCorrupt,
    BundleForeign,
    BundleKeyError,
    BundleTruncated,
    Expect,
    Keyring,
    Ref,
    verify,
)
from lib.header import TRAILER


def check(data, ring):
    verify(samples.reader(data, keyring=ring))


@pytest.fixture(params=["plain", "zstd", "encrypted"])
def bundle(request):
    if request.param == "zstd":
        records = [samples.simple(1, blobs=[samples.blob("b", b"abc")])]
        data, summary, _ring = samples.write(records, compression="zstd")
        return data, None, summary
    data, summary, ring = samples.small(request.param == "encrypted")
    return data, samples.reloaded(ring), summary


@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_found(bundle, bits):
    """Damage is called damage: never a wrong key, never another bundle."""
    data, ring, _summary = bundle
    check(data, ring)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= bits
        with pytest.raises(BundleCorrupt):
            check(damaged, ring)


def test_every_flipped_byte_is_found_without_keys():
    data, _summary, _ring = samples.small(True)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(BundleCorrupt):
            verify(samples.reader(damaged), decrypt=False)


def test_every_cut_is_found(bundle):
    data, ring, _summary = bundle
    for size in range(len(data)):
        with pytest.raises(BundleTruncated):
            check(data[:size], ring)


def test_the_index_notices_a_cut_too(bundle):
    """Random access does not read everything, and is not fooled either."""
    data, ring, _summary = bundle
    for size in range(len(data)):
        with pytest.raises(BundleCorrupt):
            samples.reader(data[:size], keyring=ring).index()


@pytest.mark.parametrize("tail", [b"\0", b"x" * 100, "itself", "trailer"])
def test_bytes_after_the_end_are_found(bundle, tail):
    data, ring, _summary = bundle
    tail = {"itself": data, "trailer": data[-TRAILER.size :]}.get(tail, tail)
    with pytest.raises(BundleCorrupt):
        check(data + tail, ring)
    with pytest.raises(BundleCorrupt):
        samples.reader(data + tail, keyring=ring).index()


def test_every_flip_in_one_record_is_found_when_it_is_read_alone(bundle):
    data, ring, summary = bundle
    entry = summary.entries[0]
    for place in range(entry.offset, entry.offset + entry.length):
        damaged = bytearray(data)
        damaged[place] ^= 0x04
        with pytest.raises(BundleCorrupt):
            samples.reader(damaged, keyring=ring).record(Ref(*entry[:4])).rows()


def test_every_flip_in_a_blob_is_found_while_it_is_read(bundle):
    data, ring, _summary = bundle
    blob = samples.reader(data, keyring=ring).record(1).blobs[0]
    for place in range(blob.offset, blob.offset + blob.length):
        damaged = bytearray(data)
        damaged[place] ^= 0x04
        reader = samples.reader(damaged, keyring=ring)
        with pytest.raises(BundleCorrupt):
            reader.open_blob(1, blob).read()


@pytest.mark.parametrize("encrypted", [False, True])
def test_one_bundle_in_the_place_of_another_is_refused(encrypted):
    """The store serves object A under key B."""
    _data, wanted, ring = samples.small(encrypted)
    other, _summary, other_ring = samples.small(encrypted)
    expect = Expect(wanted.bundle_id, samples.DATABASE, "crm.lead")
    with pytest.raises(BundleForeign):
        samples.reader(other, expect=expect, keyring=other_ring)
    if encrypted:
        with pytest.raises(BundleForeign):
            samples.reader(other, keyring=ring)


@pytest.mark.parametrize("encrypted", [False, True])
def test_one_record_in_the_place_of_another_is_refused(encrypted):
    data, summary, ring = samples.small(encrypted)
    first, second = summary.entries
    bundle = samples.reader(data, keyring=ring)
    with pytest.raises(BundleForeign):
        bundle.record(Ref(first.id, second.offset, second.length)).rows()
    with pytest.raises(BundleForeign):
        bundle.record(Ref(first.id, first.offset, first.length, second.digest)).rows()
    with pytest.raises(BundleForeign):
        bundle.record(99)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_frame_moved_from_another_bundle_is_refused(encrypted):
    """Same record, same place, same database: only the bundle differs."""
    data, summary, ring = samples.small(encrypted)
    other, other_summary, _ring = samples.small(encrypted)
    entry, source = summary.entries[1], other_summary.entries[1]
    frame = other[source.offset : source.offset + source.length]
    mixed = data[: entry.offset] + frame + data[entry.offset + entry.length :]
    with pytest.raises(BundleCorrupt):
        ref = Ref(2, entry.offset, len(frame))
        samples.reader(mixed, keyring=ring).record(ref).rows()


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_older_version_of_the_same_bundle_is_refused(encrypted):
    """Replay: sound, same identity, but not what was written last."""
    spec = samples.spec()
    old, old_summary, ring = samples.small(encrypted, bundle_spec=spec)
    new, summary, new_ring = samples.small(encrypted, bundle_spec=spec)
    entry = summary.entries[0]._replace(
        offset=old_summary.entries[0].offset, length=old_summary.entries[0].length
    )
    if not encrypted:
        # Equal but for the time it was made: give it another header.
        spec = samples.spec(bundle_id=spec.bundle_id, producer="other")
        old, _summary, _ring = samples.small(False, bundle_spec=spec)
        entry = samples.reader(old).index()[1]._replace(digest=entry.digest)
    with pytest.raises(BundleForeign):
        samples.reader(old, keyring=ring).record(entry).rows()
    with pytest.raises(BundleForeign):
        expect = Expect(spec.bundle_id, header_digest="0" * 64)
        samples.reader(new, expect=expect, keyring=new_ring)


@pytest.mark.parametrize("encrypted", [False, True])
def test_chunks_cannot_be_dropped_moved_or_repeated(encrypted):
    text = bytes(range(256)) * 8192
    record = samples.simple(1, blobs=[samples.blob("b", text)])
    data, _summary, ring = samples.write([record], encrypted, compression="none")
    blob = samples.reader(data, keyring=ring).record(1).blobs[0]
    frame = data[blob.offset : blob.offset + blob.length]
    size = 4 + frames.CHUNK + (16 if encrypted else 0) + frames.SEAL_SIZE
    head, chunks = frame[:18], frame[18:]
    parts = [chunks[i : i + size] for i in range(0, len(chunks), size)]
    assert len(parts) == 8
    changes = {
        "dropped": [*parts[:2], *parts[3:]],
        "swapped": [parts[1], parts[0], *parts[2:]],
        "repeated": [parts[0], *parts],
        "cut": parts[:-1],
    }
    for changed in changes.values():
        frame = head + b"".join(changed)
        moved = data[: blob.offset] + frame + data[blob.offset + blob.length :]
        reader = samples.reader(moved, keyring=ring)
        with pytest.raises(BundleCorrupt):
            for _chunk in reader.blob_pieces(reader.frame(blob.offset, 1 << 30), blob):
                pass


def test_garbage_is_not_a_bundle():
    for garbage in (b"", b"\x89CRMARC\n", b"PK\x03\x04" * 100, bytes(1000)):
        with pytest.raises(BundleCorrupt):
            samples.reader(garbage)


def test_every_flip_in_a_key_ring_is_damage_not_a_wrong_key():
    _data, _summary, ring = samples.small(True)
    stored = ring.dumps()
    for place in range(len(stored)):
        damaged = bytearray(stored)
        damaged[place] ^= 0x01
        with pytest.raises(BundleCorrupt):
            Keyring.loads(bytes(damaged), samples.MASTERS)
    for size in range(len(stored)):
        with pytest.raises(BundleCorrupt):
            Keyring.loads(stored[:size], samples.MASTERS)


def test_a_missing_key_is_not_damage(bundle):
    data, ring, _summary = bundle
    if ring is None:
        return
    with pytest.raises(BundleKeyError):
        verify(samples.reader(data))
