"""Local folders: durable, confined, and clean after any crash."""

import errno
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import lib_samples as samples
import pytest
from lib.bundle import verify
from lib.stores import (
    LocalStore,
    ObjectNotFound,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StorePermission,
    StoreTemporary,
    open_store,
)


@pytest.fixture
def store(tmp_path):
    return open_local(f"file://{tmp_path}/store", [str(tmp_path)])


def open_local(url, roots, **config):
    return open_store(
        "fsspec", database_uuid=samples.DATABASE, url=url, roots=roots, **config
    )


def files(folder):
    return {
        os.path.relpath(os.path.join(place, name), folder)
        for place, _folders, names in os.walk(folder)
        for name in names
    }


def test_local_folders_need_no_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    store = open_local(f"file://{tmp_path}/store", [str(tmp_path)])
    assert isinstance(store, LocalStore)
    assert store.put("a", b"x").size == 1


@pytest.mark.parametrize("overwrite", [False, True])
def test_bytes_are_durable_before_the_name_and_the_name_before_success(
    store, monkeypatch, overwrite
):
    store.put("a/b", b"old")
    if not overwrite:
        store.delete("a/b")
    log = []

    def spy(name):
        real = getattr(os, name)

        def called(*arguments):
            target = arguments[0]
            if name == "fsync":
                target = os.readlink(f"/proc/self/fd/{target}")
            kind = "part" if ".part-" in str(target) else os.path.basename(target)
            log.append((name, kind))
            return real(*arguments)

        monkeypatch.setattr(os, name, called)

    for name in ("fsync", "link", "replace", "unlink"):
        spy(name)
    store.put("a/b", b"new", overwrite=overwrite)
    naming = [("replace", "part")] if overwrite else [("link", "part")]
    if not overwrite:
        naming.append(("unlink", "part"))
    assert log == [("fsync", "part"), *naming, ("fsync", "a")]


def test_new_folders_are_durable_too(store, monkeypatch):
    store.put("x", b"")
    synced = []
    real = os.fsync

    def fsync(number):
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    store.put("a/b/c", b"x")
    assert synced[:2] == ["store", "a"]
    assert synced[-1] == "b"


def test_files_are_for_nobody_else(store):
    store.put("a/b", b"x")
    path = os.path.join(store.path, "a/b")
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["fsync", "link", "open"])
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EIO, StoreTemporary),
        (errno.EROFS, StorePermission),
        (errno.EACCES, StorePermission),
    ],
)
def test_trouble_is_told_apart_and_leaves_nothing(
    store, monkeypatch, name, number, kind
):
    store.put("before", b"x")

    def fail(*_arguments):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(kind) as caught:
            store.put("a", b"x")
    assert caught.value.retry == (kind is StoreTemporary)
    assert caught.value.__cause__ is None
    if name != "open":  # the folder's own fsync fails after the name is given
        assert not store.exists("a")
        assert files(store.path) == {"before", "crm-archive-store.json"}
    store.put("a", b"x", overwrite=True)
    assert store.get("a") == b"x"


def test_a_file_system_without_hard_links_will_do(store, monkeypatch):
    def link(*_arguments):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    store.put("a", b"x")
    assert store.get("a") == b"x"
    assert files(store.path) == {"a", "crm-archive-store.json"}


def test_strangers_in_the_folder_are_left_alone(store):
    store.put("a", b"x")
    for name in ("README", "a b", ".hidden", "ä"):
        with open(os.path.join(store.path, name), "w"):
            pass
    assert [stat.key for stat in store.iter_objects()] == ["a"]


def test_a_real_limit_on_file_size_is_a_full_store(tmp_path):
    script = f"""
import resource, sys
sys.path.append({samples.ADDON!r})
from lib.stores import LocalStore, StoreFull
resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
store = LocalStore(database_uuid="x", path={str(tmp_path / "s")!r}, roots=["/"])
try:
    store.put("a", bytes(5 << 20))
except StoreFull:
    assert not store.exists("a")
    sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 7
    assert files(tmp_path / "s") == {"crm-archive-store.json"}


# -- confinement --------------------------------------------------------------------


def test_a_store_lies_inside_an_allowed_folder(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    open_local(f"file://{root}/deep/er", [str(root)]).put("a", b"x")
    open_local(f"file://{root}", [str(root)])
    refused = [
        ("file:///etc", [str(root)]),
        (f"file://{root}", []),
        (f"file://{root}-evil", [str(root)]),
        (f"file://{root}/../x", [str(root)]),
        (f"file://{root}/%2e%2e/x", [str(root)]),
        (f"file://{tmp_path}", [str(root)]),
        ("file://relative/x", [str(root)]),
        ("file://", ["/"]),
    ]
    for url, roots in refused:
        with pytest.raises(StoreMisconfigured):
            open_local(url, roots)


def test_a_symbolic_link_does_not_lead_out(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    (root / "out").symlink_to(outside)
    with pytest.raises(StoreMisconfigured):
        open_local(f"file://{root}/out", [str(root)])
    store = open_local(f"file://{root}", [str(root)])
    store.put("a", b"x")
    (root / "link").symlink_to(outside / "secret")
    for action in (
        lambda: store.get("out/secret"),
        lambda: store.get("link"),
        lambda: store.put("out/new", b"x"),
        lambda: store.put("link", b"x", overwrite=True),
        lambda: store.delete("out/secret"),
    ):
        with pytest.raises(StoreMisconfigured, match="leads out"):
            action()
    assert (outside / "secret").read_text() == "x"
    assert os.listdir(outside) == ["secret"]


def test_a_folder_is_no_object(store):
    store.put("a/b", b"x")
    with pytest.raises((ObjectNotFound, StoreMisconfigured)):
        store.stat("a")
    with pytest.raises(StoreError):
        store.get("a")


# -- crashes ------------------------------------------------------------------------

CRASH = """
import os, signal, sys
sys.path.append(sys.argv[1])
sys.path.append(sys.argv[2])
import lib_samples as samples
from lib import faults
from lib.stores import LocalStore

store = LocalStore(database_uuid=samples.DATABASE, path=sys.argv[3], roots=["/"])
overwrite = sys.argv[5] == "overwrite"

def die(_name):
    os.kill(os.getpid(), signal.SIGKILL)

with faults.crash_at(int(sys.argv[4]), die):
    with store.create("bundle", overwrite) as out:
        records = [samples.simple(1, blobs=[samples.blob("b", bytes(3 << 20))])]
        samples.write(records, out=out, compression="none")
"""


@pytest.mark.parametrize("mode", ["new", "overwrite"])
def test_a_killed_process_leaves_a_whole_object_or_none(tmp_path, mode):
    """kill -9 at each fault point, one after the other, until none is left."""
    path = tmp_path / "store"
    here = os.path.dirname(__file__)
    store = LocalStore(
        database_uuid=samples.DATABASE, path=str(path), roots=[str(tmp_path)]
    )
    old, _summary, _ring = samples.write([samples.simple(2)])
    store.put("other", b"x")
    outcomes = []
    for number in range(1, 40):
        if store.exists("bundle"):
            store.delete("bundle")
        if mode == "overwrite":
            store.put("bundle", old)
        arguments = [samples.ADDON, here, str(path), str(number), mode]
        status = subprocess.run(
            [sys.executable, "-c", CRASH, *arguments], check=False
        ).returncode
        if store.exists("bundle"):
            with store.open("bundle") as source:
                report = verify(samples.BundleReader(source))
            outcomes.append(set(report.digests))
        else:
            outcomes.append(None)
        assert store.get("other") == b"x"
        if status == 0:
            break
        assert status == -9
    assert outcomes[-1] == {1}
    assert outcomes[0] == (None if mode == "new" else {2})
    assert {1} in outcomes[:-1]
    assert len(outcomes) > 8

    parts = [name for name in files(path) if ".part-" in name]
    assert parts
    assert {stat.key for stat in store.iter_objects()} == {"bundle", "other"}
    now = datetime.now(timezone.utc)
    assert store.sweep(now - timedelta(hours=1)) == 0
    assert store.sweep(now + timedelta(seconds=5)) == len(parts)
    assert files(path) == {"bundle", "other", "crm-archive-store.json"}
