"""What every kind of store promises, tried on each of them."""

import contextlib
import io
import uuid
from datetime import datetime, timedelta, timezone

import lib_samples as samples
import pytest
from lib import faults
from lib.bundle import BundleCorrupt, BundleReader, Record, rewrite, verify
from lib.stores import (
    DatabaseStore,
    FsspecStore,
    LocalStore,
    Mirror,
    ObjectExists,
    ObjectNotFound,
    PostgresStore,
    Store,
    StoreError,
    StoreForeign,
    StoreMisconfigured,
    StoreReadonly,
    copy,
    kinds,
    open_store,
    register,
)
from lib.stores.base import BLOCK

BIG = bytes(range(256)) * (3 * BLOCK // 256) + b"the end"


@pytest.fixture(params=["local", "memory", "s3", "database", "postgres", "mirror"])
def make(request, tmp_path):
    """Return a function that opens one and the same store for a database."""
    kind = request.param
    if kind == "memory":
        pytest.importorskip("fsspec")
        url = f"memory://test/{uuid.uuid4().hex}"
        config = {"kind": "fsspec", "url": url, "schemes": ["memory"]}
    elif kind == "s3":
        bucket, options = request.getfixturevalue("s3_bucket")
        config = {"kind": "fsspec", "url": f"s3://{bucket}/a/b", "options": options}
    elif kind == "database":
        cursor = request.getfixturevalue("cursor")
        config = {"kind": "database", "cursor": cursor}
        DatabaseStore(database_uuid="x", cursor=cursor).ensure_schema()
    elif kind == "postgres":
        dsn = request.getfixturevalue("postgres_dsn")
        config = {"kind": "postgres", "dsn": dsn}
    else:
        roots = [str(tmp_path)]
        config = {"kind": "fsspec", "url": f"file://{tmp_path}/a", "roots": roots}
    stores = []

    def make(database_uuid=samples.DATABASE):
        store = open_store(database_uuid=database_uuid, **config)
        if kind == "mirror":
            second = {**config, "url": f"file://{tmp_path}/b"}
            store = Mirror(store, open_store(database_uuid=database_uuid, **second))
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()
    if kind == "postgres":
        import psycopg2

        with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS crm_archive CASCADE")
        connection.close()


@pytest.fixture
def store(make):
    return make()


def test_an_object_comes_back(store):
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    for key, data in {"a": b"", "b/c.d": b"x", "b/big": BIG}.items():
        stat = store.put(key, io.BytesIO(data))
        assert (stat.key, stat.size) == (key, len(data))
        assert before < stat.modified < before + timedelta(minutes=5)
        assert store.get(key) == data
        assert store.exists(key)
    assert {stat.key for stat in store.iter_objects()} == {"a", "b/c.d", "b/big"}
    assert {stat.key for stat in store.iter_objects("b/")} == {"b/c.d", "b/big"}
    assert {stat.size for stat in store.iter_objects("b/big")} == {len(BIG)}


def test_an_object_is_read_anywhere(store):
    store.put("big", BIG)
    with store.open("big") as source:
        assert source.seek(0, 2) == len(BIG)
        for place in (0, 5, BLOCK - 3, BLOCK, 2 * BLOCK + 1, len(BIG) - 7):
            source.seek(place)
            assert source.tell() == place
            assert source.read(10) == BIG[place : place + 10]
        source.seek(len(BIG))
        assert source.read(1) == b""


def test_an_object_is_written_by_parts_and_whole_or_not_at_all(store):
    with store.create("parts") as out:
        for place in range(0, len(BIG), 100_003):
            out.write(BIG[place : place + 100_003])
        if not isinstance(store, DatabaseStore):
            assert not store.exists("parts")
    assert store.get("parts") == BIG

    with pytest.raises(ZeroDivisionError):
        with store.create("broken") as out:
            out.write(BIG)
            raise ZeroDivisionError
    assert not store.exists("broken")
    assert [stat.key for stat in store.iter_objects()] == ["parts"]
    # What goes wrong in the caller's code passes as it is.
    with pytest.raises(FileNotFoundError):
        with store.create("broken") as out:
            open("/nowhere/at/all")


def test_an_object_is_replaced_only_on_request(store):
    store.put("a", b"one")
    with pytest.raises(ObjectExists):
        store.put("a", b"two")
    assert store.get("a") == b"one"
    store.put("a", b"three", overwrite=True)
    assert store.get("a") == b"three"
    with pytest.raises(ZeroDivisionError):
        with store.create("a", overwrite=True) as out:
            out.write(b"four")
            raise ZeroDivisionError
    assert store.get("a") == b"three"


def test_a_missing_object_is_not_found(store):
    store.put("there", b"x")
    assert not store.exists("missing")
    for action in (store.open, store.get, store.stat, store.delete):
        with pytest.raises(ObjectNotFound):
            action("missing")
    store.delete("there")
    with pytest.raises(ObjectNotFound):
        store.get("there")
    with pytest.raises(ObjectNotFound):
        store.delete("there")
    assert list(store.iter_objects()) == []


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "./a", "A", "a b", "a\0b"]
    + ["ä", "a\\b", "-a", "a/", "a\n", "~", "a:b", "a" * 200, "/".join("a" * 20)],
)
def test_a_hostile_key_is_refused(store, key):
    for action in (
        store.get,
        store.stat,
        store.delete,
        store.exists,
        lambda key: store.put(key, b"x"),
        lambda key: store.put(key, b"x", overwrite=True),
    ):
        with pytest.raises(StoreMisconfigured):
            action(key)


def test_another_database_may_read_and_not_write(make):
    """A clone on the same bucket is harmless."""
    make().put("a", b"x")
    clone = make("another-uuid")
    assert clone.get("a") == b"x"
    assert [stat.key for stat in clone.iter_objects()] == ["a"]
    if isinstance(clone, DatabaseStore):
        return  # a clone has a copy of its own
    for action in (
        lambda: clone.put("b", b"x"),
        lambda: clone.put("a", b"x", overwrite=True),
        lambda: clone.delete("a"),
    ):
        with pytest.raises(StoreForeign, match=samples.DATABASE):
            action()
    health = clone.health()
    assert (health.ok, health.error) == (False, "StoreForeign")
    assert make().get("a") == b"x"
    assert clone.owner() == samples.DATABASE

    clone.adopt()
    clone.put("b", b"y")
    assert clone.owner() == "another-uuid"
    with pytest.raises(StoreForeign):
        make().put("c", b"z")


def test_a_store_that_is_switched_to_read_only(make):
    """Whatever opens it: a neutralized copy writes nothing."""
    make().put("a", b"x")
    store = make()
    for side in (
        store,
        getattr(store, "first", store),
        getattr(store, "second", store),
    ):
        side.readonly = True
    assert store.get("a") == b"x"
    for action in (
        lambda: store.put("b", b"x"),
        lambda: store.put("a", b"x", overwrite=True),
        lambda: store.delete("a"),
        store.adopt,
    ):
        with pytest.raises(StoreReadonly):
            action()
    assert store.health().error == "StoreReadonly"
    assert [stat.key for stat in make().iter_objects()] == ["a"]


def test_health_tries_everything_and_leaves_nothing(store):
    health = store.health()
    assert health.ok, health
    assert health.message == ""
    assert health.seconds < 30
    assert list(store.iter_objects()) == []
    if "file:" in store.describe():
        assert health.free_bytes > 0
    else:
        assert health.free_bytes is None


def test_a_store_shows_where_it_is_and_nothing_else(store):
    assert samples.DATABASE not in repr(store)
    assert "secret" not in repr(store)
    assert store.describe() in repr(store)


def test_reading_too_much_at_once_is_refused(store):
    store.put("a", b"12345")
    assert store.get("a", limit=5) == b"12345"
    with pytest.raises(StoreError, match="larger"):
        store.get("a", limit=4)


def test_a_fault_at_any_point_leaves_all_or_nothing(store):
    """The process goes on after the fault, as it does after an error."""
    store.put("other", b"x")
    for number in range(1, 30):
        key = f"n{number}"
        with faults.crash_at(number) as reached:
            with contextlib.suppress(faults.InjectedFault):
                store.put(key, BIG)
        if store.exists(key):
            assert store.get(key) == BIG
        if len(reached) < number:
            break
        assert store.get("other") == b"x"
    else:
        pytest.fail("there is no end of fault points")
    assert number > 5


def test_a_bundle_lives_in_it(store):
    """Written, verified, read by record, copied and rewritten, all streamed."""
    records = [*samples.like_real(80)]
    records.append(samples.simple(99, blobs=[samples.blob("file", BIG)]))
    with store.create("bundle.crmarc") as out:
        _data, summary, ring = samples.write(records, encrypted=True, out=out)
    store.put("bundle.crmarc.keys", ring.dumps())
    ring = samples.reloaded(ring)

    with store.open("bundle.crmarc") as source:
        bundle = BundleReader(source, keyring=ring)
        assert verify(bundle).sha256 == summary.sha256
        assert bundle.record(summary.entries[70]).rows() == records[70].rows
        record = bundle.record(99)
        assert record.open_blob(record.blobs[0]).read() == BIG
        with store.create("copy.crmarc") as out:
            rewrite(bundle, out, {99})
    with store.open("copy.crmarc") as source:
        assert 99 not in BundleReader(source).index()
    assert {stat.key for stat in store.iter_objects("bundle")} == {
        "bundle.crmarc",
        "bundle.crmarc.keys",
    }


def test_a_put_that_did_not_arrive_is_an_error(store, monkeypatch):
    """The store says yes, and then knows nothing of it."""
    kind = type(getattr(store, "first", store))
    real = kind.stat

    def stat(self, key):
        raise ObjectNotFound(key)

    monkeypatch.setattr(kind, "stat", stat)
    with pytest.raises(ObjectNotFound):
        store.put("a", b"x")

    def short(self, key):
        found = real(self, key)
        return type(found)(found.key, found.size - 1, found.modified)

    monkeypatch.setattr(kind, "stat", short)
    with pytest.raises(StoreError, match="after writing 1"):
        store.put("b", b"x")


def test_an_object_is_checked_before_it_is_used(store):
    data, _summary, _ring = samples.write([samples.simple(1)])
    store.put("good", data)
    store.put("bad", data[:-1])

    def check(source):
        verify(BundleReader(source))

    with store.open("good", check) as source:
        assert source.read() == data
    assert store.check("good", check) == []
    for look in (store.open, store.check):
        with pytest.raises(BundleCorrupt):
            look("bad", check)


def test_what_the_database_store_writes_stays_out_of_odoos_log():
    pytest.importorskip("psycopg2")
    calls = []

    class OdooCursor:
        def execute(self, query, params=None, log_exceptions=True):
            calls.append(log_exceptions)

        def fetchone(self):
            return [1]

        fetchall = fetchone

    store = DatabaseStore(database_uuid="x", cursor=OdooCursor())
    store._delete("a")
    assert calls == [False]


def test_copying_between_stores(store, tmp_path):
    other = LocalStore(
        database_uuid=samples.DATABASE, path=f"{tmp_path}/other", roots=[str(tmp_path)]
    )
    store.put("a", BIG)
    assert copy(store, "a", other).size == len(BIG)
    store.delete("a")
    assert copy(other, "a", store).size == len(BIG)
    assert store.get("a") == BIG


def test_a_new_kind_is_one_class(monkeypatch):
    from lib.stores import base

    monkeypatch.setattr(base, "_KINDS", dict(base._KINDS))

    @register
    class Dictionary(LocalStore):
        kind = "dictionary"

        def __init__(self, *, database_uuid):
            Store.__init__(self, database_uuid=database_uuid)

    assert isinstance(open_store("dictionary", database_uuid="x"), Dictionary)
    assert {"database", "fsspec", "postgres", "dictionary"} <= set(kinds())
    with pytest.raises(StoreMisconfigured, match="unknown kind"):
        open_store("carrier-pigeon", database_uuid="x")


def test_rows_of_any_size_pass_through_the_database(cursor):
    """PostgreSQL's own encoding of rows goes in as it is and comes out equal."""
    cursor.execute("CREATE TEMP TABLE t (id int, name text, at timestamptz, n numeric)")
    cursor.execute("SET TimeZone = 'UTC'")
    values = [text for text in samples.HOSTILE if text is None or text.isprintable()]
    values = [text for text in values if not text or "\udfff" not in text]
    for number, text in enumerate(values):
        cursor.execute("INSERT INTO t VALUES (%s, %s, now(), 7784.00)", [number, text])
    columns = "id::text, name::text, at::text, n::text"
    cursor.execute(f"SELECT {columns} FROM t ORDER BY t.id")
    plain = cursor.fetchall()
    cursor.execute(f"SELECT array_to_json(ARRAY[{columns}])::text FROM t ORDER BY t.id")
    encoded = [row[0] for row in cursor.fetchall()]
    table = samples.Table(
        "t", tuple((name, "text") for name in ("id", "name", "at", "n"))
    )
    spec = samples.spec(tables=[table])

    data, summary, _ring = samples.write([Record(1, {"t": encoded})], bundle_spec=spec)
    _data, other, _ring = samples.write([Record(1, {"t": plain})], bundle_spec=spec)

    assert [tuple(row) for row in samples.reader(data).record(1).rows()["t"]] == plain
    assert summary.entries[0].rows_digest == other.entries[0].rows_digest
    assert plain[0][3] == "7784.00"


def test_kinds_are_what_they_say(store):
    assert isinstance(
        store, FsspecStore | LocalStore | DatabaseStore | PostgresStore | Mirror
    )
