"""Keys: one per record, wrapped, rotated, destroyed; wrong or missing ones are told."""

import base64
import json

import lib_samples as samples
import pytest
from lib.bundle import (
    BundleCorrupt,
    BundleError,
    BundleForeign,
    BundleKeyDestroyed,
    BundleKeyError,
    BundleUnsupported,
    Keyring,
    MasterKeys,
    verify,
)

SECRET = "Erika Mustermann <erika@example.org>"


@pytest.fixture
def sealed():
    records = [samples.simple(i, SECRET) for i in (1, 2, 3)]
    records[0].blobs = [samples.blob("a", SECRET.encode())]
    data, _summary, ring = samples.write(records, encrypted=True, compression="none")
    return data, ring


def test_nothing_can_be_read_without_the_key(sealed):
    data, ring = sealed
    assert SECRET.encode() not in data
    assert b"erika" not in data + ring.dumps()
    bundle = samples.reader(data, keyring=samples.reloaded(ring))
    assert bundle.record(1).rows()["crm_lead"] == [["1", SECRET, None]]
    assert bundle.header.cipher == "aes-256-gcm"


def test_the_key_ring_is_missing(sealed):
    data, _ring = sealed
    bundle = samples.reader(data)
    assert list(bundle.index()) == [1, 2, 3]
    with pytest.raises(BundleKeyError, match="key ring is missing"):
        bundle.record(1)
    with pytest.raises(BundleKeyError):
        verify(bundle)
    assert verify(bundle, decrypt=False).records == 3


@pytest.mark.parametrize("masters", [{}, {"k2": samples.MASTERS["k2"]}])
def test_the_master_key_is_missing(sealed, masters):
    data, ring = sealed
    bundle = samples.reader(data, keyring=samples.reloaded(ring, masters))
    with pytest.raises(BundleKeyError, match="'k1' is not configured"):
        bundle.record(1)


def test_the_master_key_is_wrong(sealed):
    data, ring = sealed
    masters = {"k1": samples.MASTERS["k2"]}
    bundle = samples.reader(data, keyring=samples.reloaded(ring, masters))
    with pytest.raises(BundleKeyError, match="another key"):
        bundle.record(1)
    with pytest.raises(BundleKeyError):
        verify(bundle)
    bundle = samples.reader(data, keyring=samples.reloaded(ring, {"k1": b"short"}))
    with pytest.raises(BundleKeyError, match="32 bytes"):
        bundle.record(1)


def test_a_key_serves_its_own_record_only(sealed):
    """Wrapped keys swapped inside a ring: the identity is bound to each."""
    data, ring = sealed
    swapped = samples.reloaded(ring)
    swapped._wrapped[1], swapped._wrapped[2] = swapped._wrapped[2], swapped._wrapped[1]
    with pytest.raises(BundleKeyError):
        samples.reader(data, keyring=swapped).record(1)


def test_a_key_serves_its_own_bundle_only(sealed):
    data, ring = sealed
    other = samples.new_keyring(samples.spec())
    other._wrapped = dict(ring._wrapped)
    with pytest.raises(BundleForeign):
        samples.reader(data, keyring=other)
    # Somebody who can write makes the ring say that it belongs here.
    _data, _summary, elsewhere = samples.write([samples.simple(1)], encrypted=True)
    elsewhere.bundle_id = ring.bundle_id
    with pytest.raises(BundleKeyError):
        samples.reader(data, keyring=elsewhere).record(1)


def test_every_record_and_every_write_has_a_key_of_its_own(sealed):
    _data, ring = sealed
    keys = [ring.data_key(record_id) for record_id in (1, 2, 3)]
    assert len(set(keys)) == 3
    with pytest.raises(BundleError):
        ring.new_key(1)


def test_equal_records_give_different_bytes():
    record = samples.simple(1)
    spec = samples.spec()
    first, _summary, _ring = samples.write([record], True, bundle_spec=spec)
    second, _summary, _ring = samples.write([record], True, bundle_spec=spec)
    start = samples.reader(first).start + 20
    assert first[start : start + 50] != second[start : start + 50]


def test_rotation_changes_the_ring_and_not_the_data(sealed):
    data, ring = sealed
    ring.destroy(3)
    rotated = samples.reloaded(samples.reloaded(ring).rewrap("k2"))
    only_new = samples.reloaded(rotated, {"k2": samples.MASTERS["k2"]})

    assert rotated.key_id == "k2"
    bundle = samples.reader(data, keyring=only_new)
    assert bundle.record(1).rows()["crm_lead"] == [["1", SECRET, None]]
    assert verify(bundle).erased == [3]
    old = samples.reloaded(rotated, {"k1": samples.MASTERS["k1"]})
    with pytest.raises(BundleKeyError):
        samples.reader(data, keyring=old).record(1)


def test_rotation_needs_both_keys(sealed):
    _data, ring = sealed
    for masters in ({"k1": samples.MASTERS["k1"]}, {"k2": samples.MASTERS["k2"]}):
        with pytest.raises(BundleKeyError):
            samples.reloaded(ring, masters).rewrap("k2")


def test_destroying_a_key_erases_one_record(sealed):
    data, ring = sealed
    wrapped = base64.b64encode(ring._wrapped[1])
    assert wrapped in ring.dumps()

    assert ring.destroy(1) is True
    assert ring.destroy(1) is False

    stored = ring.dumps()
    assert wrapped not in stored
    bundle = samples.reader(data, keyring=Keyring.loads(stored, samples.MASTERS))
    with pytest.raises(BundleKeyDestroyed, match="record 1"):
        bundle.record(1)
    assert bundle.record(2).rows()["crm_lead"] == [["2", SECRET, None]]
    report = verify(bundle)
    assert report.erased == [1]
    assert report.records == 3
    assert set(report.rows_digests) == {2, 3}
    with pytest.raises(BundleError):
        bundle.keyring.new_key(1)


def test_an_erased_record_is_still_checked(sealed):
    data, ring = sealed
    ring.destroy(1)
    place = samples.reader(data).index()[1].offset + 40
    damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    with pytest.raises(BundleCorrupt):
        verify(samples.reader(damaged, keyring=ring))


def test_a_newer_ring_is_not_called_corrupt(sealed, monkeypatch):
    from lib import crypto

    _data, ring = sealed
    monkeypatch.setattr(crypto, "FORMAT", 2)
    stored = ring.dumps()
    monkeypatch.setattr(crypto, "FORMAT", 1)
    with pytest.raises(BundleUnsupported):
        Keyring.loads(stored)


@pytest.mark.parametrize(
    "stored", [b"", b"{}", b"[]", b"[" * 100_000, b"null", b"\xff"]
)
def test_a_malformed_ring_is_corrupt_not_a_crash(stored):
    with pytest.raises(BundleCorrupt):
        Keyring.loads(stored)


def test_master_keys_are_read_from_text():
    one, two = bytes(range(32)), bytes(range(200, 232))
    encoded = base64.urlsafe_b64encode(two).decode().rstrip("=")
    keys = MasterKeys.parse(f"new:{encoded}, old:{one.hex()}\n")
    assert keys == {"new": two, "old": one}
    assert keys.current == "new"
    assert MasterKeys.parse(" ") == {}
    with pytest.raises(BundleKeyError):
        _current = MasterKeys().current


@pytest.mark.parametrize(
    "text",
    ["secret", "k:", ":" + "0" * 64, "k:c2hvcnQ=", "k:" + "z" * 64, "k:" + "é" * 43]
    + [f"k:{'00' * 32} k:{'01' * 32}"],
)
def test_malformed_master_keys_are_not_quoted(text):
    with pytest.raises(BundleKeyError) as caught:
        MasterKeys.parse(text)
    quoted = text.split(":")[-1][:5]
    assert not quoted or quoted not in str(caught.value)


def test_keys_never_show_themselves(sealed):
    _data, ring = sealed
    shown = f"{samples.MASTERS} {samples.MASTERS!r} {ring} {ring!r}"
    for key in samples.MASTERS.values():
        for form in (str(key), repr(key), key.hex(), base64.b64encode(key).decode()):
            assert form.strip("b'") not in shown
    assert json.loads(ring.dumps())["keyring"]["key_id"] == "k1"
