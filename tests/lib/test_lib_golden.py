"""Bundles of every format ever written can always be read, to the last byte.

They are read twice: by the library, and by a second implementation that was written
from docs/bundle-format.md and shares no code with it.
"""

import hashlib
import json
import struct
import zlib
from base64 import b64decode
from pathlib import Path

import lib_samples as samples
import pytest
from lib.bundle import BundleReader, Entry, Expect, Keyring, verify

GOLDEN = Path(__file__).parent / "golden"
BUNDLES = sorted(GOLDEN.glob("*.crmarc"))


@pytest.fixture(params=BUNDLES, ids=lambda path: path.stem)
def path(request):
    return request.param


def expected(path):
    return json.loads(path.with_suffix(".json").read_text())


def keyring(path):
    ring = path.with_suffix(".crmarc.keys")
    return Keyring.loads(ring.read_bytes(), samples.MASTERS) if ring.exists() else None


def content(path):
    """:return: what the bundles of this format hold"""
    version = path.stem.partition("-")[0]
    records = json.loads((GOLDEN / f"{version}-content.json").read_text())
    for record in records:
        record["blobs"] = [(name, b64decode(data)) for name, data in record["blobs"]]
    return records


def test_there_are_golden_bundles():
    names = {path.stem for path in BUNDLES}
    assert {"v1-zlib", "v1-zstd", "v1-zstd-aes"} <= names


def test_a_golden_bundle_reads_as_it_always_did(path):
    known = expected(path)
    with path.open("rb") as source:
        expect = Expect(
            known["bundle_id"], samples.DATABASE, "crm.lead", known["header_digest"]
        )
        bundle = BundleReader(source, expect, keyring(path))
        report = verify(bundle)
        entries = [Entry(*entry) for entry in known["entries"]]
        found = []
        for entry in entries:
            record = bundle.record(entry)
            rows = record.rows()
            blobs = [(b.name, record.open_blob(b).read()) for b in record.blobs]
            found.append(
                {"id": record.id, "meta": record.meta, "rows": rows, "blobs": blobs}
            )
    assert report.sha256 == known["sha256"]
    assert report.rows_digests == {entry.id: entry.rows_digest for entry in entries}
    assert report.digests == {entry.id: entry.digest for entry in entries}
    assert found == content(path)


def test_one_golden_bundle_has_a_dictionary():
    assert {path.stem for path in BUNDLES if expected(path)["dictionary"]} >= {
        "v1-zstd"
    }


def test_another_implementation_reads_the_same(path):
    if expected(path)["sha256"] != hashlib.sha256(path.read_bytes()).hexdigest():
        pytest.fail("a golden bundle has been changed")
    ring = path.with_suffix(".crmarc.keys")
    keys = json.loads(ring.read_bytes())["keyring"] if ring.exists() else None
    found = Second(path.read_bytes(), keys, bytes(range(32))).read()
    assert found == content(path)


class Second:
    """A reader after docs/bundle-format.md, and nothing else."""

    def __init__(self, data, ring, master):
        self.data, self.ring, self.master = data, ring, master
        magic, length = struct.unpack_from(">8sI", data)
        assert magic == b"\x89CRMARC\n"
        self.header = json.loads(data[12 : 12 + length])
        self.binding = data[12 + length : 44 + length]
        assert hashlib.sha256(data[: 12 + length]).digest() == self.binding
        self.position = 44 + length
        self.dictionary = None

    def read(self):
        assert self.header["format"] == 1
        records, blobs = [], {}
        while True:
            start = self.position
            kind, encoding, record_id, ordinal, body, seal = self.frame()
            if kind == b"I":
                break
            if kind == b"R":
                text = self.decode(encoding, body, self.dictionary)
                records.append(self.record(record_id, text, blobs))
                continue
            plain = self.decode(encoding, body, None)
            if kind == b"D":
                assert hashlib.sha256(plain).hexdigest() == self.header["dictionary"]
                self.dictionary = plain
            else:
                assert kind == b"B"
                length = self.position - start
                digest = hashlib.sha256(plain).hexdigest()
                place = [ordinal, len(plain), digest, start, length, seal.hex()]
                blobs[record_id, ordinal] = place, plain
        index = json.loads(self.decode(encoding, body, None))
        offset, digest, magic = struct.unpack(">Q32s8s", self.data[self.position :])
        assert (offset, magic) == (start, b"\x89CRMEND\n")
        assert hashlib.sha256(self.data[: self.position + 8]).digest() == digest
        assert [row[0] for row in index["records"]] == [r["id"] for r in records]
        return records

    def frame(self):
        """One frame: its prefix and its content, decrypted."""
        prefix = self.data[self.position : self.position + 18]
        mark, kind, encoding, record_id, ordinal = struct.unpack(">4scBQI", prefix)
        assert mark == b"FRM\x1a"
        context = hashlib.sha256(b"crm_archive frame 1\0" + self.binding + prefix)
        seal = context = context.digest()
        self.position += 18
        parts, final, number = [], False, 0
        while not final:
            word = self.data[self.position : self.position + 4]
            (size,) = struct.unpack(">I", word)
            final, size = bool(size >> 31), size & 0x7FFFFFFF
            body = self.data[self.position + 4 : self.position + 4 + size]
            seal = hashlib.sha256(seal + word + body).digest()
            self.position += 4 + size + 32
            assert self.data[self.position - 32 : self.position] == seal
            if self.header["cipher"] and kind != b"I":
                nonce = struct.pack(">IQ", ordinal, number)
                extra = context + struct.pack(">QB", number, final)
                body = self.aead(self.key(record_id)).decrypt(nonce, body, extra)
            parts.append(body)
            number += 1
        return kind, encoding, record_id, ordinal, b"".join(parts), seal

    def key(self, record_id):
        wrapped = b64decode(self.ring["keys"][str(record_id)])
        identity = ["crm_archive key 1", self.header["database_uuid"]]
        identity += [self.header["bundle_id"], record_id]
        extra = json.dumps(identity, separators=(",", ":")).encode()
        return self.aead(self.master).decrypt(wrapped[:12], wrapped[12:], extra)

    @staticmethod
    def aead(key):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(key)

    def decode(self, encoding, body, dictionary):
        if encoding == 0 or self.header["compression"] == "none":
            return body
        if self.header["compression"] == "zlib":
            options = {"zdict": dictionary} if dictionary else {}
            return zlib.decompressobj(-15, **options).decompress(body)
        import zstandard

        known = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        stream = zstandard.ZstdDecompressor(dict_data=known).decompressobj()
        return stream.decompress(body)

    def record(self, record_id, text, blobs):
        *lines, empty = text.split(b"\n")
        assert empty == b""
        head = json.loads(lines[0])
        assert head["id"] == record_id
        rows, count, table = {}, 0, None
        for line in lines[1:-1]:
            if line.startswith(b"["):
                rows.setdefault(table, []).append(json.loads(line))
                count += 1
            else:
                table = self.header["tables"][int(line)]["name"]
        assert json.loads(lines[-1]) == {"end": count}
        found = []
        for name, *place in head["blobs"]:
            stored, plain = blobs[record_id, place[0]]
            assert stored == place
            found.append((name, plain))
        return {"id": record_id, "meta": head["meta"], "rows": rows, "blobs": found}
