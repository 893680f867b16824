"""Compression: zstd where the package is there, zlib everywhere else.

Both take a preset dictionary. Records are small and look alike, so a dictionary
kept once in the bundle makes up for compressing each record on its own.
"""

import zlib

from .errors import BundleCorrupt, BundleTooLarge, BundleUnsupported

#: Uncompressed bytes handed on at a time while reading.
PIECE = 1 << 18

#: Largest zstd window a reader must provide memory for (8 MiB).
MAX_WINDOW = 1 << 23

#: Largest dictionary that a bundle may carry.
MAX_DICTIONARY = 1 << 20

_SAMPLES_MIN = 32
_DICTIONARY_MIN, _DICTIONARY_MAX = 4 << 10, 64 << 10


class Stored:
    """No compression: what does not shrink is kept as it is."""

    name = "none"
    dictionary = None

    def __init__(self, dictionary: bytes | None = None):
        """:param dictionary: accepted for symmetry, never used"""

    def compressor(self):
        """:return: object with ``compress(bytes)`` and ``flush()``"""
        return self

    def compress(self, data: bytes) -> bytes:
        """:return: `data` itself"""
        return data

    def flush(self) -> bytes:
        """:return: nothing, all has been passed on"""
        return b""

    def pieces(self, chunks):
        """:return: iterator over the uncompressed bytes of `chunks`"""
        return iter(chunks)

    @classmethod
    def train(cls, samples):
        """:return: None: nothing to train"""


class Zlib(Stored):
    """Raw deflate (RFC 1951) with an optional preset dictionary."""

    name = "zlib"
    #: More costs time for every record and gains little; deflate's limit is 32 K.
    dictionary_size = 8 << 10

    def __init__(self, dictionary: bytes | None = None, level: int = 6):
        """:param dictionary: preset dictionary, the likeliest strings last"""
        self.dictionary, self._level = dictionary, level

    def compressor(self):
        """:return: object with ``compress(bytes)`` and ``flush()``"""
        options = {"zdict": self.dictionary} if self.dictionary else {}
        return zlib.compressobj(self._level, zlib.DEFLATED, -15, 9, **options)

    def pieces(self, chunks):
        """Inflate in bounded memory.

        :raise BundleCorrupt: when the stream is malformed or does not end
        """
        options = {"zdict": self.dictionary} if self.dictionary else {}
        inflate = zlib.decompressobj(-15, **options)
        try:
            for chunk in chunks:
                while chunk and not inflate.eof:
                    yield inflate.decompress(chunk, PIECE)
                    chunk = inflate.unconsumed_tail
                if chunk or inflate.unused_data:
                    raise BundleCorrupt("bytes after the end of a compressed frame")
            # Output may be held back although all input has been taken.
            while not inflate.eof and (piece := inflate.decompress(b"", PIECE)):
                yield piece
        except zlib.error as error:
            raise BundleCorrupt(f"a frame does not inflate: {error}") from error
        if not inflate.eof:
            raise BundleCorrupt("a compressed frame has no end")

    @classmethod
    def train(cls, samples):
        """:return: the end of the samples: deflate likes recent text best"""
        return b"".join(samples)[-cls.dictionary_size :]


class Zstd(Stored):
    """Zstandard (RFC 8878) with an optional trained dictionary."""

    name = "zstd"

    def __init__(self, dictionary: bytes | None = None, level: int = 3):
        """
        :param dictionary: trained dictionary
        :raise BundleUnsupported: when ``zstandard`` is not installed
        """
        self._zstandard = zstandard = _zstandard()
        self.dictionary = dictionary
        trained = None
        if dictionary:
            trained = zstandard.ZstdCompressionDict(
                dictionary, dict_type=zstandard.DICT_TYPE_FULLDICT
            )
        self._trained, self._level = trained, level
        self._compressor = None
        self._decompressor = zstandard.ZstdDecompressor(
            dict_data=trained, max_window_size=MAX_WINDOW
        )

    def compressor(self):
        """:return: object with ``compress(bytes)`` and ``flush()``"""
        if self._compressor is None:
            if self._trained:
                self._trained.precompute_compress(level=self._level)
            self._compressor = self._zstandard.ZstdCompressor(
                level=self._level, dict_data=self._trained, write_content_size=False
            )
        return self._compressor.compressobj()

    def pieces(self, chunks):
        """Decompress in bounded memory.

        A stream without end goes unnoticed here: what comes out is too short, and
        records, blobs and the index all say how long they are.

        :raise BundleCorrupt: when the stream is malformed
        """
        source = _Source(chunks)
        try:
            # Across frames: bytes after the end are then an error, or content that
            # nobody expects, but never just dropped.
            with self._decompressor.stream_reader(
                source, read_across_frames=True, closefd=False
            ) as reader:
                while piece := reader.read(PIECE):
                    yield piece
        except self._zstandard.ZstdError as error:
            raise BundleCorrupt(f"a frame does not decompress: {error}") from error

    @classmethod
    def train(cls, samples):
        """:return: a trained dictionary, None when the samples do not suffice"""
        zstandard = _zstandard()
        total = sum(map(len, samples))
        size = max(_DICTIONARY_MIN, min(_DICTIONARY_MAX, total // 10))
        try:
            # Fixed k and d: searching for better ones costs four times the time
            # and gains one part in a hundred.
            trained = zstandard.train_dictionary(size, samples, k=500, d=8)
        except zstandard.ZstdError:
            return None
        return trained.as_bytes()


class _Source:
    """File-like view of an iterator of chunks."""

    def __init__(self, chunks):
        self._chunks, self._rest = iter(chunks), b""

    def read(self, size):
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        head, self._rest = self._rest[:size], self._rest[size:]
        return head


_CODECS = {codec.name: codec for codec in (Stored, Zlib, Zstd)}


def best() -> str:
    """:return: name of the best compression this interpreter has"""
    try:
        _zstandard()
    except BundleUnsupported:
        return Zlib.name
    return Zstd.name


def get(name: str, dictionary: bytes | None = None):
    """Find a compression by the name that a header gives.

    :param name: ``zstd``, ``zlib`` or ``none``
    :param dictionary: preset dictionary of the bundle
    :raise BundleUnsupported: when it is unknown or its package is missing
    """
    if name not in _CODECS:
        raise BundleUnsupported(f"unknown compression {name!r}")
    return _CODECS[name](dictionary)


def train(name: str, samples: list[bytes], records: int) -> bytes | None:
    """Make a dictionary out of samples if it is worth its own bytes.

    :param name: compression that will use it
    :param samples: uncompressed records
    :param records: number of records that the bundle will hold
    :return: the dictionary, None when it would not pay
    """
    if len(samples) < _SAMPLES_MIN or name == Stored.name:
        return None
    # A quarter is kept back: a dictionary always does well on what it was made of.
    cut = len(samples) * 3 // 4
    learned, unseen = samples[:cut], samples[cut:]
    dictionary = _CODECS[name].train(learned)
    if not dictionary:
        return None
    plain, helped = get(name), get(name, dictionary)
    gain = sum(_size(plain, s) - _size(helped, s) for s in unseen)
    cost = _size(plain, dictionary)
    return dictionary if gain * records / len(unseen) > cost else None


def limited(pieces, limit: int, what):
    """Pass pieces on until there are more bytes than allowed.

    :param limit: most bytes in all
    :param what: whose they are, for the message
    :raise BundleTooLarge: as soon as the limit is passed
    """
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise BundleTooLarge(f"{what} holds more than {limit} bytes")
        yield piece


def _size(codec, data) -> int:
    stream = codec.compressor()
    return len(stream.compress(data)) + len(stream.flush())


def _zstandard():
    try:
        import zstandard
    except ImportError as error:
        raise BundleUnsupported(
            "zstd compression needs the Python package 'zstandard'"
        ) from error
    return zstandard
