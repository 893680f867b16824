"""What goes into a bundle comes out of it, whatever it is."""

import io
import json
import random
import sys
import tracemalloc

import lib_samples as samples
import pytest
from lib import codec
from lib.bundle import (
    BundleError,
    BundleForeign,
    BundleReader,
    BundleTooLarge,
    BundleUnsupported,
    BundleWriter,
    Entry,
    Expect,
    Record,
    Ref,
    Table,
    encode_row,
    rewrite,
    rows_digest,
    verify,
)

VARIANTS = [
    pytest.param({"compression": "none"}, id="none"),
    pytest.param({"compression": "zlib"}, id="zlib"),
    pytest.param({"compression": "zstd"}, id="zstd"),
    pytest.param({"compression": "zlib", "encrypted": True}, id="zlib-aes"),
    pytest.param({"compression": "zstd", "encrypted": True}, id="zstd-aes"),
]


@pytest.mark.parametrize("options", VARIANTS)
def test_hostile_values_come_back_identical(options):
    rows = {
        "crm_lead": [["1", value, None] for value in samples.HOSTILE],
        "mail_message": [[value, value] for value in samples.HOSTILE],
    }
    meta = {"texts": samples.HOSTILE[:20], "number": 1, "nested": {"a": [None, True]}}
    data, summary, keyring = samples.write([Record(7, rows, (), meta)], **options)
    bundle = samples.reader(data, keyring=samples.reloaded(keyring))

    record = bundle.record(7)

    assert record.meta == meta
    assert record.rows() == rows
    assert record.rows_digest == summary.entries[0].rows_digest
    assert summary.entries[0].rows_digest == rows_digest(rows, samples.TABLES)


@pytest.mark.parametrize("options", VARIANTS)
def test_random_values_come_back_identical(options):
    numbers = random.Random(20)

    def text():
        size = numbers.choice([0, 1, 3, 30, 300])
        # Surrogates are left to the test above: here they could form a pair.
        codes = [numbers.choice([0x20, 0x100, 0x10FFFF]) for _number in range(size)]
        chars = (numbers.randint(1, code) for code in codes)
        return "".join(chr(c) for c in chars if not 0xD800 <= c <= 0xDFFF)

    def row(width):
        return [numbers.choice([None, text()]) for _number in range(width)]

    expected = {}
    for record_id in numbers.sample(range(1, 1 << 40), 60):
        rows = {
            table.name: [row(len(table.columns)) for _n in range(numbers.randint(0, 4))]
            for table in samples.TABLES
        }
        blobs = [numbers.randbytes(numbers.choice([0, 1, 900])) for _n in range(2)]
        expected[record_id] = rows, blobs
    records = [
        Record(i, rows, [samples.blob(str(n), blob) for n, blob in enumerate(blobs)])
        for i, (rows, blobs) in expected.items()
    ]
    data, summary, keyring = samples.write(records, **options)
    bundle = samples.reader(data, keyring=samples.reloaded(keyring))

    for record_id, (rows, blobs) in expected.items():
        record = bundle.record(record_id)
        found = record.rows()
        assert found == {name: values for name, values in rows.items() if values}
        assert [record.open_blob(blob).read() for blob in record.blobs] == blobs
    report = verify(bundle)
    assert report.records == 60
    assert report.sha256 == summary.sha256
    assert report.rows_digests == {e.id: e.rows_digest for e in summary.entries}


def test_rows_may_come_encoded_by_postgresql():
    plain, _summary, _keyring = samples.write([samples.simple(1)])
    # What array_to_json(ARRAY[...])::text prints, as str and as bytes.
    rows = {
        "crm_lead": ['["1","hello",null]'],
        "mail_message": [b'["1","<p>one</p>"]', b'["2",""]'],
    }
    data, _summary, _keyring = samples.write([Record(1, rows, (), {"note": "hello"})])

    assert (
        samples.reader(data).record(1).rows() == samples.reader(plain).record(1).rows()
    )
    assert rows_digest(rows, samples.TABLES) == rows_digest(
        samples.simple(1).rows, samples.TABLES
    )


@pytest.mark.parametrize("value", samples.HOSTILE[:20])
def test_an_encoded_row_is_canonical_json(value):
    line = encode_row([value, "x"])
    assert json.loads(line) == [value, "x"]
    assert b"\n" not in line
    assert b'", "' not in line


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(["1", 2, None], id="a number"),
        pytest.param(["1", b"x", None], id="bytes"),
        pytest.param(["1", "x"], id="too short"),
        pytest.param(["1", "x", None, None], id="too long"),
        pytest.param(["1", "\ud83d\ude00", None], id="two lone surrogates, a pair"),
        pytest.param('{"a":1}', id="encoded, no array"),
        pytest.param('["1",\n"x",null]', id="encoded, two lines"),
    ],
)
def test_a_row_that_would_not_come_back_is_refused(row):
    with pytest.raises(BundleError):
        samples.write([Record(1, {"crm_lead": [row]})])


def test_an_unknown_table_is_refused():
    with pytest.raises(BundleError, match="res_users"):
        samples.write([Record(1, {"res_users": [["1"]]})])


@pytest.mark.parametrize("record_id", [0, -1, 1 << 63])
def test_an_impossible_id_is_refused(record_id):
    with pytest.raises(BundleError):
        samples.write([Record(record_id, {})])


def test_a_record_comes_once():
    with pytest.raises(BundleError, match="twice"):
        samples.write([samples.simple(1), samples.simple(1)])


def test_a_failed_bundle_cannot_be_finished():
    writer = BundleWriter(io.BytesIO(), samples.spec(), dictionary=False)
    with pytest.raises(BundleError):
        writer.add(Record(1, {"crm_lead": [["1"]]}))
    with pytest.raises(BundleError, match="failed before"):
        writer.add(samples.simple(2))
    with pytest.raises(BundleError, match="failed before"):
        writer.close()


def test_announced_numbers_must_hold():
    table = Table("crm_lead", samples.TABLES[0].columns, rows=2)
    for values in ({"records": 2}, {"tables": [table, *samples.TABLES[1:]]}):
        with pytest.raises(BundleError, match="announced"):
            samples.write([samples.simple(1)], bundle_spec=samples.spec(**values))


def test_the_header_tells_everything():
    table = Table("crm_lead", samples.TABLES[0].columns, rows=1)
    spec = samples.spec(records=1, tables=[table, *samples.TABLES[1:]], producer="test")
    data, summary, _keyring = samples.write([samples.simple(5)], bundle_spec=spec)

    header = samples.reader(data).header

    assert header.format == 1
    assert header.bundle_id == spec.bundle_id
    assert header.database_uuid == samples.DATABASE
    assert header.model == "crm.lead"
    assert header.tables == (table, *samples.TABLES[1:])
    assert header.records == 1
    assert header.compression in ("zstd", "zlib")
    assert header.cipher is None
    assert header.created.endswith("Z")
    assert samples.reader(data).counts() == summary.tables
    assert summary.tables == {"crm_lead": 1, "mail_message": 2, "crm_tag_rel": 0}


def test_an_empty_bundle_is_a_bundle():
    data, summary, _keyring = samples.write([])
    bundle = samples.reader(data)
    assert bundle.index() == {}
    assert verify(bundle).records == 0
    assert summary.entries == []


def test_one_record_is_read_without_the_index_and_the_rest():
    data, summary, _keyring = samples.write(list(samples.like_real(300)))
    entry = summary.entries[200]
    reads = []

    class Watched(io.BytesIO):
        def read(self, size=-1):
            reads.append((self.tell(), size))
            return super().read(size)

    bundle = BundleReader(Watched(data))
    rows = bundle.record(Ref(*entry[:4])).rows()

    assert rows["crm_lead"][0][0] == str(entry.id)
    first_frame = summary.entries[0].offset
    assert [place for place, _size in reads if place >= first_frame] == [entry.offset]


def test_identity_is_checked_when_it_is_known():
    spec = samples.spec()
    data, summary, _keyring = samples.write([samples.simple(1)], bundle_spec=spec)
    samples.reader(
        data,
        expect=Expect(
            spec.bundle_id, samples.DATABASE, "crm.lead", summary.header_digest
        ),
    )
    for name in ("bundle_id", "database_uuid", "model", "header_digest"):
        with pytest.raises(BundleForeign):
            samples.reader(data, expect=Expect(**{name: "0" * 64}))


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_a_dictionary_is_made_where_it_pays(compression):
    many = list(samples.like_real(400))
    options = {"compression": compression, "bundle_spec": samples.spec(records=400)}
    plain, without, _keyring = samples.write(many, dictionary=False, **options)
    data, summary, _keyring = samples.write(many, **options)

    assert summary.dictionary
    assert len(data) < len(plain) * 0.8
    bundle = samples.reader(data)
    assert bundle.record(333).rows() == many[332].rows
    assert verify(bundle).rows_digests == {e.id: e.rows_digest for e in without.entries}


def test_no_dictionary_for_a_few_records():
    data, summary, _keyring = samples.write(list(samples.like_real(20)))
    assert not summary.dictionary
    assert len(samples.reader(data).index()) == 20


def test_no_dictionary_outlives_an_erasure():
    """A dictionary quotes records, so an encrypted bundle has none."""
    many = [samples.simple(i, "Erika Mustermann") for i in range(1, 400)]
    _data, summary, _keyring = samples.write(many, encrypted=True)
    assert not summary.dictionary


def test_a_given_dictionary_is_used_and_sealed():
    many = list(samples.like_real(50))
    vocabulary = b"<p>Dear customer, offer price delivery project meeting demo</p>"
    data, summary, keyring = samples.write(
        many, encrypted=True, compression="zlib", dictionary=vocabulary
    )
    assert summary.dictionary
    assert b"Dear customer" not in data
    bundle = samples.reader(data, keyring=samples.reloaded(keyring))
    assert bundle.record(50).rows() == many[49].rows
    assert verify(bundle).records == 50
    with pytest.raises(BundleTooLarge):
        samples.write(many, dictionary=bytes(codec.MAX_DICTIONARY + 1))


def test_attachments_that_do_not_shrink_are_stored_as_they_are():
    photo = random.Random(3).randbytes(400_000)
    text = b"a line of text\n" * 30_000
    blobs = [samples.blob("photo", photo), samples.blob("text", text)]
    data, summary, _keyring = samples.write([samples.simple(1, blobs=blobs)])

    assert photo[1000:2000] in data
    assert len(data) < 420_000
    record = samples.reader(data).record(1)
    assert [blob.name for blob in record.blobs] == ["photo", "text"]
    assert [record.open_blob(blob).read() for blob in record.blobs] == [photo, text]
    assert summary.entries[0].blob_size == len(photo) + len(text)


def test_a_missing_package_is_named(monkeypatch):
    data, _summary, _keyring = samples.write([samples.simple(1)], compression="zstd")
    sealed, _summary, ring = samples.write(
        [samples.simple(1)], encrypted=True, compression="zlib"
    )
    for name in ("zstandard", "cryptography.hazmat.primitives.ciphers.aead"):
        monkeypatch.setitem(sys.modules, name, None)

    assert codec.best() == "zlib"
    plain, summary, _keyring = samples.write([samples.simple(1)])
    assert summary.compression == "zlib"
    assert samples.reader(plain).record(1).rows()
    with pytest.raises(BundleUnsupported, match="zstandard"):
        samples.reader(data).record(1)
    with pytest.raises(BundleUnsupported, match="zstandard"):
        samples.write([samples.simple(1)], compression="zstd")
    with pytest.raises(BundleUnsupported, match="cryptography"):
        samples.reader(sealed, keyring=samples.reloaded(ring)).record(1)
    with pytest.raises(BundleUnsupported, match="cryptography"):
        samples.write([samples.simple(1)], encrypted=True, compression="zlib")


def test_a_newer_format_is_not_called_corrupt(monkeypatch):
    from lib import header

    monkeypatch.setattr(header, "FORMAT", 2)
    data, _summary, _keyring = samples.write([samples.simple(1)])
    monkeypatch.setattr(header, "FORMAT", 1)
    with pytest.raises(BundleUnsupported, match="format 2"):
        samples.reader(data)


def test_a_record_too_large_for_the_limits_is_refused():
    long = samples.simple(1, "x" * 5000)
    for limits in ({"row": 4000}, {"record": 4000}):
        with pytest.raises(BundleTooLarge):
            samples.write([long], bundle_spec=samples.spec(limits=limits))
    heavy = samples.simple(1, blobs=[samples.blob("a", bytes(5000))])
    with pytest.raises(BundleTooLarge):
        samples.write([heavy], bundle_spec=samples.spec(limits={"blob": 4000}))


@pytest.mark.parametrize("encrypted", [False, True])
def test_rewriting_forgets_records(encrypted):
    """What is purged from a bundle is gone from the copy, dictionary included."""
    many = [samples.simple(i, f"person number {i}") for i in range(1, 60)]
    many[4].blobs = [samples.blob("kept", b"kept bytes")]
    many.append(samples.simple(60, "Erika Mustermann " * 3))
    data, _summary, keyring = samples.write(
        many, encrypted=encrypted, compression="none" if not encrypted else None
    )
    bundle = samples.reader(data, keyring=keyring)
    if encrypted:
        keyring.destroy(7)
    spec = samples.spec()
    ring = samples.new_keyring(spec) if encrypted else None

    out = io.BytesIO()
    summary = rewrite(bundle, out, {60, 9}, keyring=ring, bundle_id=spec.bundle_id)

    copy = samples.reader(out.getvalue(), keyring=ring)
    assert copy.header.bundle_id == spec.bundle_id != bundle.header.bundle_id
    expected = set(range(1, 60)) - ({7, 9} if encrypted else {9})
    assert set(copy.index()) == expected == {entry.id for entry in summary.entries}
    assert copy.record(5).rows() == bundle.record(5).rows()
    assert copy.record(5).meta == bundle.record(5).meta
    assert copy.record(5).open_blob(copy.record(5).blobs[0]).read() == b"kept bytes"
    for record in copy.records():
        assert "Mustermann" not in json.dumps(record.rows())
    verify(copy)


def test_rewriting_leaves_nothing_in_the_dictionary():
    many = list(samples.like_real(300))
    secret = "Erika Mustermann, Heidestrasse 17"
    many += [samples.simple(i, secret) for i in range(301, 420)]
    data, summary, _keyring = samples.write(reversed(many))
    assert summary.dictionary
    out = io.BytesIO()
    rewrite(samples.reader(data), out, set(range(301, 420)))
    copy = samples.reader(out.getvalue())
    assert b"Mustermann" in samples.reader(data).record_codec().dictionary
    assert b"Mustermann" not in copy.record_codec().dictionary


class Sink:
    """Takes bytes and forgets them."""

    def write(self, data):
        pass


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_large_attachment_takes_little_memory(encrypted, tmp_path):
    """Far more bytes than memory used, on the way in and on the way out."""
    size = 200 << 20
    path = tmp_path / "bundle"
    blobs = [
        samples.Blob("zeros", lambda: samples.Endless(size)),
        samples.Blob("noise", lambda: samples.Endless(size // 4, seed=5)),
    ]
    tracemalloc.start()
    try:
        with path.open("wb") as out:
            record = samples.simple(1, blobs=blobs)
            _data, _summary, keyring = samples.write([record], encrypted, out)
        with path.open("rb") as source:
            bundle = BundleReader(source, keyring=keyring)
            record = bundle.record(1)
            total = 0
            with record.open_blob(record.blobs[0]) as stream:
                while block := stream.read(1 << 16):
                    total += len(block)
            report = verify(bundle)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == size
    assert report.blobs == 2
    assert peak < 16 << 20


def test_a_record_with_many_rows_takes_little_memory():
    """A lead with very many messages, captured and restored row by row."""
    count = 40_000
    body = "<p>" + "as discussed by phone, " * 50 + "</p>"
    messages = ([str(number), body] for number in range(count))
    record = Record(1, {"crm_lead": [["1", "x", None]], "mail_message": messages})
    others = list(samples.like_real(10))[1:]
    out = io.BytesIO()
    tracemalloc.start()
    try:
        _data, summary, _keyring = samples.write([*others, record], out=out)
        assert summary.entries[-1].size > 40 << 20
        bundle = BundleReader(out)
        found = sum(1 for _row in bundle.record(summary.entries[-1]).iter_rows())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == count + 1
    assert peak < 24 << 20


def test_entries_survive_storage_as_text():
    """An index in a database keeps numbers and text."""
    _data, summary, _keyring = samples.write([samples.simple(1)])
    entry = summary.entries[0]
    assert Entry(*json.loads(json.dumps(entry))) == entry
