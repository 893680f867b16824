"""Handbook, README and app list show pictures that exist, and those only."""

import ast
import re
from pathlib import Path

import pytest
from lxml import html
from pictures import (
    BANNER,
    BANNER_SIZE,
    DESCRIPTION,
    HANDBOOK,
    LANGUAGES,
    PICTURES,
    ROOT,
    WIDTH,
)
from PIL import Image

ADDON = ROOT / "crm_archive_policy"
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
#: Of all pictures together.
BYTES_MAX = 6_000_000
#: Drawn by hand.
ICONS = {DESCRIPTION / "icon.png", DESCRIPTION / "icon.svg"}


def get_pages(language):
    return sorted((HANDBOOK / language).glob("*.md"))


def find_pictures(page):
    """Return the files whose pictures a page shows."""
    return {(page.parent / p[1]).resolve() for p in PICTURE.findall(page.read_text())}


def find_shown(language):
    """Return the files that the handbook shows in a language."""
    return set().union(*map(find_pictures, get_pages(language)))


@pytest.fixture(scope="module")
def declared():
    return {
        path
        for picture in PICTURES
        for language in LANGUAGES
        for path in picture.get_files(language)
    }


@pytest.fixture(scope="module")
def description():
    return html.fromstring((DESCRIPTION / "index.html").read_text())


@pytest.mark.parametrize("language", LANGUAGES)
def test_handbook_shows_what_is_taken(language):
    taken = {picture.get_file(language) for picture in PICTURES}
    assert find_shown(language) == taken
    assert not [path for path in taken if not path.is_file()], "make screenshots"


def test_readme_shows_what_is_taken(declared):
    assert find_pictures(ROOT / "README.md") <= declared


def test_no_picture_is_left_over(declared):
    kept = set((HANDBOOK / "images").rglob("*.*")) | set(DESCRIPTION.glob("*.*"))
    assert kept - declared == {BANNER, DESCRIPTION / "index.html", *ICONS}


def test_pictures_are_small(declared):
    assert sum(path.stat().st_size for path in declared) < BYTES_MAX
    for path in declared:
        with Image.open(path) as image:
            assert image.width == WIDTH, path


def test_names_are_unique():
    names = [picture.name for picture in PICTURES]
    assert len(names) == len(set(names))


def test_languages_have_the_same_pages():
    pages = [{page.name for page in get_pages(language)} for language in LANGUAGES]
    assert pages[0] == pages[1]
    assert len(pages[0]) > 10
    for name in pages[0]:
        shown = [
            [Path(p[1]).name for p in PICTURE.findall(page.read_text())]
            for page in (HANDBOOK / language / name for language in LANGUAGES)
        ]
        assert shown[0] == shown[1], name


def test_every_picture_is_described():
    for page in [*HANDBOOK.rglob("*.md"), ROOT / "README.md"]:
        assert all(text for text, _path in PICTURE.findall(page.read_text())), page


def test_links_lead_somewhere():
    for page in [*HANDBOOK.rglob("*.md"), ROOT / "README.md"]:
        for link in LINK.findall(page.read_text()):
            if "://" not in link:
                target = page.parent / link.split("#")[0]
                assert target.exists(), f"{page}: {link}"


def test_every_page_can_be_reached():
    for language in LANGUAGES:
        pages = get_pages(language)
        linked = {
            (page.parent / link.split("#")[0]).resolve()
            for page in [*pages, ROOT / "README.md"]
            for link in LINK.findall(page.read_text())
        }
        assert set(pages) <= linked


# ------------------------------------------------------------
# THE APP LIST
# ------------------------------------------------------------


def test_manifest_is_complete():
    manifest = ast.literal_eval((ADDON / "__manifest__.py").read_text())
    for key in ("name", "summary", "category", "author", "license", "version"):
        assert manifest[key], key
    assert manifest["application"] is True
    assert manifest["images"]
    for image in manifest["images"]:
        assert (ADDON / image).is_file(), image
    with Image.open(BANNER) as banner:
        assert banner.size == BANNER_SIZE


def test_description_shows_what_is_taken(declared, description):
    shown = {DESCRIPTION / image.get("src") for image in description.iter("img")}
    assert shown == {path for path in declared if path.parent == DESCRIPTION}
    assert all(image.get("alt") for image in description.iter("img"))


def test_description_loads_nothing_from_elsewhere(description):
    allowed = {"section", "div", "h1", "h2", "h3", "p", "ul", "li", "img", "span"}
    for element in description.iter():
        assert element.tag in allowed
        assert set(element.attrib) <= {"class", "src", "alt"}
        source = element.get("src", "")
        assert "/" not in source and ":" not in source


def test_readme_fragments_are_there():
    for name in ("DESCRIPTION", "CONFIGURE", "USAGE", "HISTORY", "CONTRIBUTORS"):
        assert (ADDON / "readme" / f"{name}.md").read_text().strip(), name
