"""The one JSON encoding: equal values always give equal bytes.

Digests are taken over these bytes (audit lines, bundle headers), so the
encoding is part of the stored format and never changes for a given version.
"""

import json


def dumps(value) -> bytes:
    """Encode a JSON value: keys sorted, no white space, UTF-8, strict numbers.

    :param value: dict, list, str, int, float, bool or None, nested at will
    :return: the canonical bytes
    :raise ValueError: for NaN and infinities, which JSON cannot carry
    :raise TypeError: for a value that is not JSON, or a key that is not a str
    """
    _check_keys(value)
    text = json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form; JSON's own escape keeps it.
        return b"".join(map(_encode_char, text))


def _encode_char(char: str) -> bytes:
    if 0xD800 <= ord(char) <= 0xDFFF:
        return b"\\u%04x" % ord(char)
    return char.encode()


def _check_keys(value):
    """Refuse keys that json would silently turn into strings (1 and "1")."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"canonical JSON needs str keys, not {type(key)}")
            _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_keys(item)
