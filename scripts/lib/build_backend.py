"""Build the add-on's package from the repository's root: whool, one folder down."""

import functools
import os
from pathlib import Path

from whool import buildapi

ADDON = Path(__file__).resolve().parents[2] / "crm_archive_policy"


def _in_addon_folder(hook):
    @functools.wraps(hook)
    def call(directory, *args, **kwargs):
        directory = os.path.abspath(directory)
        previous = Path.cwd()
        os.chdir(ADDON)
        try:
            return hook(directory, *args, **kwargs)
        finally:
            os.chdir(previous)

    return call


build_wheel = _in_addon_folder(buildapi.build_wheel)
build_sdist = _in_addon_folder(buildapi.build_sdist)
build_editable = _in_addon_folder(buildapi.build_editable)
