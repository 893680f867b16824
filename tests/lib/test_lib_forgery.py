"""What somebody who can write to the store may try: forged parts, sealed anew."""

import contextlib
import hashlib
import io
import json
import struct
import tracemalloc
import zlib

import lib_samples as samples
import pytest
from lib import canonical, codec, frames
from lib.bundle import (
    BundleCorrupt,
    BundleError,
    BundleForeign,
    BundleReader,
    BundleTooLarge,
    BundleTruncated,
    Ref,
    verify,
)
from lib.frames import FrameReader
from lib.header import END_MAGIC, TRAILER, Header


def reseal(data, offset, binding, change):
    """Forge the single chunk of a frame, as somebody who can write could.

    :return: the file, its trailer made to fit, and the forged frame's length
    """
    frame = FrameReader(frames.Cursor(io.BytesIO(data), offset), binding)
    (body,) = frame.chunks()
    body = change(body)
    word = struct.pack(">I", len(body) | 1 << 31)
    context = frame.prefix.context(binding)
    seal = hashlib.sha256(context + word + body).digest()
    forged = frame.prefix.pack() + word + body + seal
    grown = len(forged) - frame.length
    data = data[:offset] + forged + data[offset + frame.length :]
    index = int.from_bytes(data[-TRAILER.size :][:8], "big")
    return retrail(data, index + (grown if offset < index else 0)), len(forged)


def retrail(data, index):
    """:return: the file with a trailer that names `index` and fits"""
    data = data[: -TRAILER.size] + index.to_bytes(8, "big")
    return data + hashlib.sha256(data).digest() + END_MAGIC


def deflate(content):
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(content) + stream.flush()


def test_a_forged_record_is_refused_by_the_digest_kept_elsewhere():
    """In the clear, seals prove nothing against who can compute them."""
    data, summary, _ring = samples.write([samples.simple(1)], compression="zlib")
    entry = summary.entries[0]
    rows = b'0\n["1","forged",null]\n{"end":1}\n'
    content = canonical.dumps({"id": 1, "meta": {}, "blobs": []}) + b"\n" + rows
    binding = samples.reader(data).binding
    forged, length = reseal(data, entry.offset, binding, lambda _body: deflate(content))
    reader = samples.reader(forged)

    trusted = reader.record(Ref(1, entry.offset, length)).rows()
    assert trusted == {"crm_lead": [["1", "forged", None]]}
    with pytest.raises(BundleForeign):
        reader.record(Ref(1, entry.offset, length, entry.digest)).rows()
    with pytest.raises(BundleCorrupt):
        verify(reader)


def test_a_forged_encrypted_record_is_refused():
    data, summary, ring = samples.write([samples.simple(1)], True, compression="zlib")
    entry = summary.entries[0]
    binding = samples.reader(data).binding

    def flip(body):
        return body[:5] + bytes([body[5] ^ 1]) + body[6:]

    forged, _length = reseal(data, entry.offset, binding, flip)
    with pytest.raises(BundleCorrupt, match="authentication"):
        samples.reader(forged, keyring=ring).record(1).rows()


MALFORMED = {
    "no head": b"",
    "head is no JSON": b"{\n",
    "head is deep": b"[" * 100_000 + b"\n",
    "other record": b'{"blobs":[],"id":2,"meta":{}}\n{"end":0}\n',
    "blob is short": b'{"blobs":[["a"]],"id":1,"meta":{}}\n{"end":0}\n',
    "blob is wrong": b'{"blobs":[["a",1,1,"x",-1,1,"y"]],"id":1,"meta":{}}\n'
    b'{"end":0}\n',
    "no end": b'{"blobs":[],"id":1,"meta":{}}\n0\n["1","2",null]\n',
    "rows lost": b'{"blobs":[],"id":1,"meta":{}}\n0\n["1","2",null]\n{"end":2}\n',
    "goes on": b'{"blobs":[],"id":1,"meta":{}}\n{"end":0}\n0\n',
    "half a line": b'{"blobs":[],"id":1,"meta":{}}\n0\n["1"',
    "no table": b'{"blobs":[],"id":1,"meta":{}}\n["1","2",null]\n{"end":1}\n',
    "unknown table": b'{"blobs":[],"id":1,"meta":{}}\n9\n["1","2",null]\n{"end":1}\n',
    "table again": b'{"blobs":[],"id":1,"meta":{}}\n1\n0\n{"end":0}\n',
    "strange table": b'{"blobs":[],"id":1,"meta":{}}\n-1\n{"end":0}\n',
    "wide row": b'{"blobs":[],"id":1,"meta":{}}\n0\n["1"]\n{"end":1}\n',
    "number": b'{"blobs":[],"id":1,"meta":{}}\n0\n["1",2,null]\n{"end":1}\n',
    "nested": b'{"blobs":[],"id":1,"meta":{}}\n0\n["1",["2"],null]\n{"end":1}\n',
    "broken row": b'{"blobs":[],"id":1,"meta":{}}\n0\n["1","2",nul]\n{"end":1}\n',
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_record_is_corrupt_not_a_crash(content):
    data, summary, _ring = samples.write([samples.simple(1)], compression="zlib")
    entry = summary.entries[0]
    binding = samples.reader(data).binding
    forged, length = reseal(data, entry.offset, binding, lambda _body: deflate(content))
    with pytest.raises(BundleCorrupt) as caught:
        samples.reader(forged).record(Ref(1, entry.offset, length)).rows()
    assert not isinstance(caught.value, BundleTruncated)


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"dictionary":0,"records":[],"tables":[]}',
        b'{"dictionary":0,"records":[[1]],"tables":{}}',
        b'{"dictionary":0,"records":[[1,1,1,1,1,-1]],"tables":{}}',
        b'{"dictionary":0,"records":[[1,1,"1",1,1,1]],"tables":{}}',
        b'{"dictionary":1e3,"records":[],"tables":{}}',
        b'{"dictionary":9,"records":[],"tables":{}}',
    ],
)
def test_a_malformed_index_is_corrupt_not_a_crash(index):
    data, _summary, _ring = samples.write([samples.simple(1)], compression="zlib")
    bundle = samples.reader(data)
    offset = int.from_bytes(data[-TRAILER.size :][:8], "big")
    forged, _length = reseal(data, offset, bundle.binding, lambda _body: deflate(index))
    with pytest.raises(BundleCorrupt):
        verify(samples.reader(forged))
    with pytest.raises(BundleError):
        samples.reader(forged).record(1)


def forged_index(data, change):
    """A file whose index says something else, and is sealed all the same."""
    offset = int.from_bytes(data[-TRAILER.size :][:8], "big")
    binding = samples.reader(data).binding

    def forge(body):
        index = json.loads(zlib.decompress(body, -15))
        change(index)
        return deflate(canonical.dumps(index))

    return reseal(data, offset, binding, forge)[0]


def test_an_index_that_is_wrong_is_found():
    data, _summary, _ring = samples.small(False)
    verify(samples.reader(forged_index(data, lambda index: None)))
    for column in range(6):

        def change(index, column=column):
            index["records"][1][column] += 1

        with pytest.raises(BundleCorrupt):
            verify(samples.reader(forged_index(data, change)))
    for change in (
        lambda index: index["records"].pop(),
        lambda index: index.update(dictionary=1),
    ):
        with pytest.raises(BundleCorrupt):
            verify(samples.reader(forged_index(data, change)))


def test_an_index_behind_another_one_is_found():
    data, _summary, _ring = samples.small(False)
    index = int.from_bytes(data[-TRAILER.size :][:8], "big")
    with pytest.raises(BundleCorrupt, match="points elsewhere"):
        verify(samples.reader(retrail(data, index - 1)))


def test_a_blob_that_the_record_does_not_name_is_found():
    """Sealed, but not what the record says that it must be."""
    data, _summary, _ring = samples.small(False)
    blob = samples.reader(data).record(1).blobs[0]
    binding = samples.reader(data).binding
    forged, length = reseal(data, blob.offset, binding, lambda _body: b"abd")
    assert length == blob.length
    with pytest.raises(BundleCorrupt, match="names other blobs"):
        verify(samples.reader(forged))
    with pytest.raises(BundleForeign):
        samples.reader(forged).open_blob(1, blob).read()
    frame = FrameReader(frames.Cursor(io.BytesIO(forged), blob.offset), binding)
    believed = blob._replace(digest=frame.skip().hex())
    with pytest.raises(BundleCorrupt, match="not what the record names"):
        samples.reader(forged).open_blob(1, believed).read()


def test_a_dictionary_that_the_header_does_not_name_is_found():
    """Another dictionary would make other text of sound frames."""
    data, summary, _ring = samples.small(False)
    bundle = samples.reader(data)
    forged, _length = reseal(
        data, bundle.start, bundle.binding, lambda _body: deflate(b"HELLO ONE")
    )
    with pytest.raises(BundleCorrupt, match="dictionary"):
        verify(samples.reader(forged))
    moved = len(forged) - len(data)
    entry = summary.entries[1]
    with pytest.raises(BundleCorrupt, match="dictionary"):
        samples.reader(forged).record(entry._replace(offset=entry.offset + moved))


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_bytes_after_a_compressed_stream_are_found(compression):
    stream = codec.get(compression).compressor()
    packed = stream.compress(b"abc") + stream.flush()
    assert b"".join(codec.get(compression).pieces([packed])) == b"abc"
    for chunks in ([packed + b"xyz!"], [packed, b"xyz!"]):
        with pytest.raises(BundleCorrupt):
            list(codec.get(compression).pieces(chunks))
    # Two streams in one are refused, or give more than was announced.
    with contextlib.suppress(BundleCorrupt):
        twice = codec.get(compression).pieces([packed, packed])
        assert b"".join(twice) == b"abcabc"
    with pytest.raises(BundleCorrupt):
        list(codec.get(compression).pieces([b"\xff" * 50]))


def test_deflate_must_come_to_its_end():
    with pytest.raises(BundleCorrupt, match="no end"):
        list(codec.get("zlib").pieces([deflate(b"abc" * 100)[:-1]]))


def forged_header(change):
    """A bundle whose header says something else, sealed by who wrote it."""
    original = Header.pack

    def pack(self):
        values = dict(vars(self))
        values["tables"] = [
            {"name": t.name, "columns": [list(c) for c in t.columns], "rows": t.rows}
            for t in self.tables
        ]
        body = change(values)
        packed = original(self)[0][:8] + struct.pack(">I", len(body)) + body
        return packed, hashlib.sha256(packed).digest()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Header, "pack", pack)
        return samples.write([samples.simple(1)], compression="zlib")[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda values: b"",
        lambda values: b"[]",
        lambda values: b"[" * 100_000,
        lambda values: canonical.dumps({**values, "tables": {}, "extra": 1}),
        lambda values: canonical.dumps({**values, "tables": [1]}),
        lambda values: canonical.dumps({**values, "tables": values["tables"] * 2}),
        lambda values: canonical.dumps({**values, "model": 5}),
        lambda values: canonical.dumps({**values, "limits": {}}),
        lambda values: canonical.dumps({k: values[k] for k in values if k != "model"}),
    ],
)
def test_a_malformed_header_is_corrupt_not_a_crash(change):
    with pytest.raises(BundleCorrupt):
        samples.reader(forged_header(change))


@pytest.mark.parametrize("value", [{"compression": "lzma"}, {"cipher": "rot13"}])
def test_an_unknown_algorithm_is_named(value):
    forged = forged_header(lambda values: canonical.dumps({**values, **value}))
    with pytest.raises(BundleError, match="lzma|rot13"):
        samples.reader(forged).record(1)


BOMBS = {
    "record": {"record": 1 << 20},
    "row": {"row": 1 << 20},
}


@pytest.mark.parametrize("limits", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_a_decompression_bomb_goes_off_harmlessly(limits, compression):
    """A quarter of a gigabyte in a small frame is cut off at the header's limits."""

    spec = samples.spec(limits={"record": 1 << 20, "row": 1 << 20})
    data, summary, _ring = samples.write(
        [samples.simple(1)], compression=compression, bundle_spec=spec
    )
    entry = summary.entries[0]
    stream = codec.get(compression).compressor()
    head = b'{"blobs":[],"id":1,"meta":{}}\n0\n'
    unit = b'["' + b"0" * (1 << 20) + b'","",""]\n' if "row" in limits else b"0" * 99
    bomb = stream.compress(head)
    for _number in range((256 << 20) // len(unit) if "row" in limits else 1):
        bomb += stream.compress(unit)
    if "record" in limits:
        for _number in range(256):
            bomb += stream.compress(bytes(1 << 20))
    bomb += stream.flush()
    assert len(bomb) < 600_000

    binding = samples.reader(data).binding
    chunks = [bomb[i : i + frames.CHUNK] for i in range(0, len(bomb), frames.CHUNK)]
    out = io.BytesIO(data)
    out.seek(entry.offset)
    frame = frames.FrameWriter(out, binding, frames.Prefix(frames.RECORD, 1, 1, 0))
    for chunk in chunks:
        frame.write(chunk)
    frame.close()
    tracemalloc.start()
    try:
        with pytest.raises(BundleTooLarge):
            BundleReader(out).record(Ref(1, entry.offset, frame.length)).rows()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_the_reader_may_be_stricter_than_the_header():
    data, _summary, _ring = samples.write([samples.simple(1, "x" * 5000)])
    samples.reader(data).record(1).rows()
    for limit in ("record", "row"):
        with pytest.raises(BundleTooLarge):
            samples.reader(data, limits={limit: 1000}).record(1).rows()


def test_a_blob_is_held_to_its_limit():
    record = samples.simple(1, blobs=[samples.blob("b", bytes(1 << 20))])
    data, _summary, _ring = samples.write([record])
    bundle = samples.reader(data, limits={"blob": 1000})
    with pytest.raises(BundleTooLarge):
        bundle.record(1).open_blob(bundle.record(1).blobs[0]).read()


def test_an_encrypted_bundle_with_another_limit_does_not_decrypt():
    """The header, limits included, is bound to every chunk as associated data."""
    record = samples.simple(1, "x" * 5000)
    spec = samples.spec(limits={"row": 10_000})
    data, _summary, ring = samples.write(
        [record], True, bundle_spec=spec, compression="zlib"
    )
    changed = data.replace(b'"row":10000}', b'"row":99999}')
    assert changed != data
    start = samples.reader(data).start
    digest = hashlib.sha256(changed[: start - 32]).digest()
    changed = changed[: start - 32] + digest + changed[start:]
    offset = samples.reader(data).index()[1].offset
    # Whoever changed the header can also seal the chunk anew, but not encrypt it.
    frame = FrameReader(
        frames.Cursor(io.BytesIO(data), offset), samples.reader(data).binding
    )
    (body,) = frame.chunks()
    word = struct.pack(">I", len(body) | 1 << 31)
    seal = hashlib.sha256(frame.prefix.context(digest) + word + body).digest()
    sealed = frame.prefix.pack() + word + body + seal
    changed = changed[:offset] + sealed + changed[offset + frame.length :]
    reader = samples.reader(changed, keyring=ring)
    assert reader.limits["row"] == 99999
    with pytest.raises(BundleCorrupt, match="authentication"):
        reader.record(Ref(1, offset, frame.length)).rows()


def test_a_length_that_is_not_possible_is_not_believed():
    """Nobody is to be asked for gigabytes by a few forged bytes."""
    huge = b"\x89CRMARC\n" + struct.pack(">I", 0xFFFFFFFF) + bytes(100)
    with pytest.raises(BundleCorrupt, match="not possible"):
        samples.reader(huge)
    data, summary, _ring = samples.small(False)
    place = summary.entries[0].offset + 18
    forged = data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :]
    with pytest.raises(BundleCorrupt, match="not possible"):
        samples.reader(forged).record(summary.entries[0])
