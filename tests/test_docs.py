"""Every page is found from the README, and no link leads nowhere."""

import re

import databases
import pytest

ROOT = databases.ROOT
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def get_targets(page):
    """:return: the files that a page links to"""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    links = (link.partition("#")[0] for link in LINK.findall(text))
    return {
        (page.parent / link).resolve()
        for link in links
        if link and not re.match(r"\w+:", link)
    }


def get_headings(page):
    """:return: the anchors of a page, as they are made of its headings"""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    assert [str(target) for target in get_targets(page) if not target.exists()] == []
    for link in LINK.findall(page.read_text()):
        target, _hash, anchor = link.partition("#")
        if anchor and not re.match(r"\w+:", target):
            other = (page.parent / target).resolve() if target else page
            assert anchor in get_headings(other), link


def test_every_page_is_reached():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = {
            target / "README.md" if target.is_dir() else target
            for target in get_targets(page)
        }
        waiting += [t for t in targets & set(PAGES) if t not in reached]
    assert [str(page) for page in PAGES if page not in reached] == []
