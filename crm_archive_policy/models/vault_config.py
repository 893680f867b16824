"""What the server's administrator says about stores, secrets above all.

Read from the configuration file or the environment each time it is needed and never
kept: not in a field, a log, an export or an error. The environment goes first, as it
does for Odoo's own options.
"""

import os
import re

from odoo.tools import config

#: How the settings of one store are called; no underscore, so that no two clash.
NAME = re.compile(r"[a-z][a-z0-9]{0,31}")

_YES = frozenset(("1", "true", "yes", "on"))


def get_option(*words):
    """Return a setting, ``None`` when there is none.

    :param words: parts of its name: ``get_option('offsite', 'dsn')`` is
        ``CRM_ARCHIVE_OFFSITE_DSN`` or ``crm_archive_offsite_dsn``
    """
    return get_option_by_name(get_option_name(*words))


def get_option_by_name(name):
    """Return a setting by the name it has in the configuration file."""
    return os.environ.get(name.upper()) or config.get(name) or None


def get_option_name(*words):
    """Return what a setting is called in the configuration file.

    :param words: see :func:`get_option`
    """
    return "_".join(("crm_archive", *(word for word in words if word)))


def get_master_keys(name):
    """Return the master keys as text, those of the store before those of all.

    :param name: name of the store's settings, or ``False``
    """
    own = get_option(name, "master_keys") if name else None
    return own or get_option("master_keys")


def get_store_options(name, names):
    """Return the options of a store, as far as they are set.

    :param name: name of the store's settings, or ``False``
    :param names: the options it may have
    """
    options = {}
    for option in names if name else ():
        value = get_option(name, option)
        if value is None:
            continue
        if option == "port":
            value = int(value)
        elif option == "anon":
            value = str(value).lower() in _YES
        options[option] = value
    return options


def get_roots():
    """Return the folders under which ``file:`` stores may be; none by default."""
    return _get_list("roots")


def get_schemes():
    """Return the allowed beginnings of URLs, ``None`` for those of the library."""
    return _get_list("schemes") or None


def is_loopback_allowed():
    """Tell whether a store's URL may name this very machine."""
    return str(get_option("loopback")).lower() in _YES


def _get_list(word):
    return [
        part.strip() for part in (get_option(word) or "").split(",") if part.strip()
    ]
