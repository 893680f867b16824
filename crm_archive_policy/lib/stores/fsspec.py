"""Objects anywhere that fsspec can reach; local folders need no fsspec."""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote, urlsplit

from .base import BLOCK, ObjectStat, Store, register
from .errors import ObjectNotFound, StoreMisconfigured
from .local import LocalStore

_URL = re.compile(r"([a-z][a-z0-9]*)://([^?#\s]*)")

#: Options by scheme; those after the bar are secrets. Everything else is refused:
#: some options of these libraries name files, proxies or programs.
_OPTIONS = {
    "s3": "endpoint_url region anon sse | key secret token",
    "gs": "project endpoint_url | token",
    "abfs": "account_name | account_key sas_token client_secret tenant_id client_id",
    "sftp": "port username | password",
    "memory": "",
}
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "sftp": "paramiko"}

#: Addresses where clouds keep credentials of the machine, beyond link-local ones.
_METADATA = {
    ipaddress.ip_address("100.100.100.200"),
    ipaddress.ip_address("192.0.0.192"),
    ipaddress.ip_address("fd00:ec2::254"),
    ipaddress.ip_address("fd20:ce::254"),
}


@register
class FsspecStore(Store):
    """Objects under one URL."""

    kind = "fsspec"

    def __new__(cls, *, url: str = "", **config):
        """A ``file:`` URL gives a :class:`LocalStore`, which is durable."""
        if split_url(url)[0] == "file":
            return open_local(url, **config)
        return super().__new__(cls)

    def __init__(
        self,
        *,
        database_uuid: str,
        url: str,
        options: Mapping[str, Any] | None = None,
        roots: Sequence[str] = (),
        schemes: Sequence[str] = ("file", "s3", "gs", "abfs", "sftp"),
        loopback: bool = False,
    ):
        """
        :param url: ``s3://bucket/folder``, ``file:///folder``, …; without secrets
        :param options: credentials, `endpoint_url` and so on
        :param roots: folders allowed for ``file:``
        :param schemes: what may be used
        :param loopback: whether a URL may name this very machine
        :raise StoreMisconfigured: when the URL or an option is not allowed, or a
            package is missing
        """
        super().__init__(database_uuid=database_uuid)
        self.scheme, self._root = split_url(url)
        _check_scheme(self.scheme, schemes)
        self._options, self._loopback = dict(options or {}), loopback
        self._secrets = _check_options(self.scheme, self._options)
        self._filesystem = None

    def describe(self) -> str:
        """:return: the URL"""
        return f"{self.scheme}://{self._root}"

    def _redact(self, text):
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    @property
    def fs(self):
        """:return: the file system, made at first use

        :raise StoreMisconfigured: when a package is missing
        """
        if self._filesystem is None:
            if endpoint := self._options.get("endpoint_url"):
                check_endpoint(endpoint)
            if self.scheme == "sftp":
                host = self._root.partition("/")[0].rpartition("@")[2]
                check_host(host, self._options.get("port", 22), self._loopback)
            fsspec = _fsspec(self.scheme)
            with self._translated():
                self._filesystem = fsspec.filesystem(
                    self.scheme, **_arguments(self.scheme, self._root, self._options)
                )
        return self._filesystem

    def close(self):
        """Forget the connection."""
        self._filesystem = None

    def _path(self, key):
        root = self._root
        if self.scheme == "sftp":
            root = "/" + root.partition("/")[2]
        return f"{root.rstrip('/')}/{key}"

    @contextmanager
    def _create(self, key, overwrite):
        path = self._path(key)
        if self.scheme in ("sftp", "memory"):
            with self._renamed(path) as out:
                yield out
            return
        # Object stores show an object when its upload is completed, not before.
        out = self.fs.open(path, "wb", block_size=8 << 20)
        try:
            yield out
        except BaseException:
            with contextlib.suppress(Exception):
                out.discard()
            out.closed = True  # else the collector would complete the upload
            raise
        out.close()

    @contextmanager
    def _renamed(self, path):
        folder, _slash, name = path.rpartition("/")
        part = f"{folder}/.part-{name}"
        self.fs.makedirs(folder, exist_ok=True)
        try:
            with self.fs.open(part, "wb") as out:
                yield out
            self.fs.mv(part, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self.fs.rm_file(part)
            raise

    def _open(self, key):
        path = self._path(key)
        self._forget_listing()
        return self.fs.open(path, "rb", block_size=BLOCK, cache_type="readahead")

    def _stat(self, key):
        self._forget_listing()
        return self._from_info(key, self.fs.info(self._path(key)))

    def _delete(self, key):
        self._stat(key)
        self.fs.rm_file(self._path(key))

    def _iter_objects(self, prefix):
        for key, _path, info in self._find():
            if key.startswith(prefix) and not _is_part(key):
                yield self._from_info(key, info)

    def _sweep(self, older_than):
        removed = 0
        for key, path, info in self._find():
            if _is_part(key) and self._from_info(key, info).modified < older_than:
                self.fs.rm_file(path)
                removed += 1
        return removed

    def _find(self):
        """Iterate over ``(key, path, info)`` of every file."""
        self._forget_listing()
        base = self._path("").rstrip("/")
        try:
            found = self.fs.find(base, detail=True)
        except FileNotFoundError:
            return
        for path, info in sorted(found.items()):
            key = path.lstrip("/").removeprefix(base.lstrip("/")).lstrip("/")
            yield key, path, info

    def _forget_listing(self):
        # Listings are cached by fsspec; another process may have changed them.
        self.fs.invalidate_cache()

    @staticmethod
    def _from_info(key, info):
        if info.get("type") == "directory":
            raise ObjectNotFound(f"{key} is not an object")
        modified = next(
            (info[name] for name in _TIMES if info.get(name) is not None), None
        )
        if isinstance(modified, int | float):
            modified = datetime.fromtimestamp(modified, timezone.utc)
        elif isinstance(modified, str):
            modified = datetime.fromisoformat(modified.replace("Z", "+00:00"))
        elif modified is None:
            # Unknown counts as new: the sweep must not take it for an old orphan.
            modified = datetime.now(timezone.utc)
        if modified.tzinfo is None:
            modified = modified.replace(tzinfo=timezone.utc)
        return ObjectStat(key, info["size"], modified.astimezone(timezone.utc))


def _is_part(key):
    return "/.part-" in f"/{key}"


_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


def split_url(url: str) -> tuple[str, str]:
    """Cut a URL into scheme and path.

    :raise StoreMisconfigured: when it is none, chains file systems or carries a
        password
    """
    match = _URL.fullmatch(url)
    if not match or "::" in url:
        # Not quoted: it may hold a password.
        raise StoreMisconfigured("a store's URL looks like scheme://place/folder")
    scheme, path = match[1], match[2].rstrip("/")
    host = path.partition("/")[0]
    if ":" in host.rpartition("@")[0]:
        raise StoreMisconfigured("a password belongs in the options, not in the URL")
    if ".." in unquote(path).split("/"):
        raise StoreMisconfigured("a store's URL must not contain '..'")
    return scheme, path


def open_local(
    url: str,
    *,
    database_uuid: str,
    roots: Sequence[str] = (),
    schemes: Sequence[str] = ("file",),
    options: Mapping[str, Any] | None = None,
    loopback: bool = False,
) -> LocalStore:
    """:return: the store of a ``file:`` URL"""
    scheme, path = split_url(url)
    _check_scheme(scheme, schemes)
    if options:
        raise StoreMisconfigured("a local folder takes no options")
    return LocalStore(database_uuid=database_uuid, path=unquote(path), roots=roots)


def check_endpoint(url: str):
    """Refuse a server address where the machine's own secrets are kept.

    :param url: address of an S3-compatible server
    :raise StoreMisconfigured: when it is no web address, or is a link-local or
        metadata address, also by name, as a number or wrapped in IPv6
    :raise StoreMisconfigured: when the name does not resolve
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise StoreMisconfigured("the endpoint must be an http or https address")
    # It comes from the server's configuration, so this very machine is allowed.
    check_host(parts.hostname, parts.port or 443, loopback=True)


def check_host(name: str, port: int, loopback: bool = False):
    """Refuse a server where the machine's own secrets are kept.

    :param name: of the server, or its address
    :param port: of the server
    :param loopback: whether it may be this very machine
    :raise StoreMisconfigured: when it is a link-local or metadata address, also by
        name, as a number or wrapped in IPv6, or does not resolve
    """
    try:
        found = socket.getaddrinfo(name, port)
    except (OSError, UnicodeError):
        raise StoreMisconfigured("the endpoint's name does not resolve") from None
    for *_rest, address in found:
        number = ipaddress.ip_address(address[0].partition("%")[0])
        number = getattr(number, "ipv4_mapped", None) or number
        if number.is_link_local or number.is_multicast or number in _METADATA:
            raise StoreMisconfigured("the endpoint is a link-local or metadata address")
        if not loopback and (number.is_loopback or number.is_unspecified):
            raise StoreMisconfigured("the server's address is this very machine's")


def option_names(scheme: str) -> tuple[str, ...]:
    """:return: the options that URLs of a scheme take, secrets included"""
    return tuple(_OPTIONS.get(scheme, "").replace("|", " ").split())


def needed_packages(scheme: str) -> tuple[str, ...]:
    """:return: names of the Python packages that a scheme needs"""
    if scheme == "file":
        return ()
    return tuple(dict.fromkeys(["fsspec", _PACKAGES.get(scheme, "fsspec")]))


def _check_scheme(scheme, schemes):
    if scheme not in schemes:
        raise StoreMisconfigured(f"scheme {scheme!r} is not allowed")


def _check_options(scheme, options):
    """:return: the values that are secrets"""
    public, _bar, secret = _OPTIONS.get(scheme, "").partition("|")
    if unknown := set(options) - {*public.split(), *secret.split()}:
        raise StoreMisconfigured(f"options not allowed for {scheme}: {sorted(unknown)}")
    return [str(options[name]) for name in secret.split() if options.get(name)]


def _arguments(scheme, root, options):
    """:return: what fsspec's class of this scheme takes"""
    options = dict(options)
    if scheme == "s3":
        if region := options.pop("region", None):
            options["client_kwargs"] = {"region_name": region}
        if sse := options.pop("sse", None):
            options["s3_additional_kwargs"] = {"ServerSideEncryption": sse}
        # s3fs tries again by itself, and so does the run: not a third time inside.
        options["config_kwargs"] = {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"total_max_attempts": 1},
        }
    if scheme == "sftp":
        options["host"] = root.partition("/")[0].rpartition("@")[2]
        if user := root.partition("/")[0].rpartition("@")[0]:
            options.setdefault("username", user)
    # Instances are cached by arguments otherwise, secrets and all.
    return {**options, "skip_instance_cache": True, "use_listings_cache": False}


def _fsspec(scheme):
    for name in needed_packages(scheme):
        try:
            __import__(name)
        except ImportError:
            raise StoreMisconfigured(
                f"{scheme}: stores need the Python package {name!r}"
            ) from None
    import fsspec

    return fsspec
