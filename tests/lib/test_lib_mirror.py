"""A mirror: written when both hold it, healed from each other, never made worse."""

import contextlib
import io

import lib_samples as samples
import pytest
from lib.bundle import BundleKeyError, BundleReader, BundleTruncated, Expect, verify
from lib.stores import LocalStore, Mirror, ObjectNotFound, StoreError, StoreTemporary
from lib.stores.base import MARKER


@pytest.fixture
def pair(tmp_path):
    healed = []
    sides = [
        LocalStore(
            database_uuid=samples.DATABASE,
            path=f"{tmp_path}/{name}",
            roots=[str(tmp_path)],
        )
        for name in ("first", "second")
    ]
    mirror = Mirror(*sides, on_heal=healed.append)
    return mirror, *sides, healed


def break_writing(monkeypatch, store, error):
    def _create(key, overwrite):
        raise error

    monkeypatch.setattr(store, "_create", _create)


@pytest.mark.parametrize("side", [0, 1])
def test_a_mirror_has_written_when_both_have(pair, monkeypatch, side):
    mirror, *sides, _healed = pair
    mirror.put("before", b"x")
    with monkeypatch.context() as patch:
        break_writing(patch, sides[side], OSError(28, "no space"))
        with pytest.raises(StoreError):
            mirror.put("a", b"x")
    for store in sides:
        assert not store.exists("a")
        assert store.get("before") == b"x"
    mirror.put("a", b"x")
    assert [store.get("a") for store in sides] == [b"x", b"x"]


def test_a_failure_does_not_delete_what_was_there_before(pair, monkeypatch):
    mirror, first, second, _healed = pair
    mirror.put("a", b"x")

    def unreachable(key):
        raise StoreTemporary("unreachable")

    monkeypatch.setattr(second, "_stat", unreachable)
    with pytest.raises(StoreTemporary):
        mirror.put("a", b"y")
    assert first.get("a") == b"x"


def test_a_commit_that_fails_on_one_side_is_undone_on_the_other(pair, monkeypatch):
    mirror, first, second, _healed = pair
    mirror.put("before", b"x")

    @contextlib.contextmanager
    def _create(key, overwrite):
        yield io.BytesIO()
        raise OSError(5, "input/output error")

    monkeypatch.setattr(second, "_create", _create)
    with pytest.raises(StoreTemporary):
        mirror.put("a", b"x")
    assert not first.exists("a")


@pytest.mark.parametrize("side", [0, 1])
def test_a_copy_that_did_not_arrive_is_an_error(pair, monkeypatch, side):
    mirror, *sides, _healed = pair

    def _stat(key):
        raise FileNotFoundError(key)

    monkeypatch.setattr(sides[side], "_stat", _stat)
    with pytest.raises(ObjectNotFound):
        mirror.put("a", b"x")


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("trouble", ["damaged", "cut", "missing", "foreign"])
def test_a_mirror_heals_what_is_not_in_order(pair, side, trouble):
    mirror, *sides, healed = pair
    data, _summary, _ring = samples.write([samples.simple(1)])
    other, _summary, _ring = samples.write([samples.simple(1)])
    mirror.put("a", data)
    bad = {
        "damaged": data[:50] + bytes([data[50] ^ 1]) + data[51:],
        "cut": data[:-10],
        "foreign": other,
    }
    ill = sides[side]
    if trouble == "missing":
        ill.delete("a")
    else:
        ill.put("a", bad[trouble], overwrite=True)

    def check(source):
        expect = Expect(samples.reader(data).header.bundle_id)
        verify(BundleReader(source, expect))

    if side == 0:
        with mirror.open("a", check) as source:
            assert source.read() == data
    else:
        mirror.check("a", check)
    (event,) = healed
    assert (event.key, event.store, event.repaired) == ("a", ill.describe(), True)
    assert event.reason
    assert [store.get("a") for store in sides] == [data, data]
    assert mirror.check("a", check) == []


def test_a_mirror_of_two_damaged_copies_says_so(pair):
    mirror, first, second, healed = pair
    data, _summary, _ring = samples.write([samples.simple(1)])
    mirror.put("a", data[:-1])

    def check(source):
        verify(BundleReader(source))

    with pytest.raises(BundleTruncated):
        mirror.open("a", check)
    with pytest.raises(BundleTruncated):
        mirror.check("a", check)
    with pytest.raises(ObjectNotFound):
        mirror.open("b")
    assert healed == []


@pytest.mark.parametrize("method", ["open", "check"])
def test_a_wrong_key_is_no_reason_to_heal(pair, method):
    """Even if the other side, for some reason, could be read."""
    mirror, first, _second, healed = pair
    data, _summary, ring = samples.write([samples.simple(1)], encrypted=True)
    mirror.put("a", data)
    rings = [samples.reloaded(ring, {"k1": bytes(32)}), samples.reloaded(ring)]

    def check(source):
        verify(BundleReader(source, keyring=rings.pop(0)))

    with pytest.raises(BundleKeyError):
        getattr(mirror, method)("a", check)
    assert healed == []


@pytest.mark.parametrize("error", [ConnectionError("x"), PermissionError("x")])
def test_a_mirror_reads_from_the_side_that_answers(pair, monkeypatch, error):
    """And does not write over the other one, which may well be in order."""
    mirror, first, second, healed = pair
    mirror.put("a", b"x")
    second.put("a", b"y", overwrite=True)

    def fail(key):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(first, "_open", fail)
        assert mirror.get("a") == b"y"
    (event,) = healed
    assert (event.store, event.repaired) == (first.describe(), False)
    assert first.get("a") == b"x"


def test_a_mirror_lists_what_either_side_holds(pair):
    mirror, first, second, _healed = pair
    first.put("a", b"x")
    second.put("b", b"x")
    assert {stat.key for stat in mirror.iter_objects()} == {"a", "b"}
    mirror.delete("a")
    mirror.delete("b")
    assert list(mirror.iter_objects()) == []
    assert MARKER not in {stat.key for stat in mirror.iter_objects()}
