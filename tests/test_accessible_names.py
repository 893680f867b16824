"""Whoever does not see icons hears their names: every icon and button has one.

Views and templates are read as files, so that no screen is forgotten.
"""

import re

import databases
import pytest
from lxml import etree

ADDONS = [databases.ROOT / databases.ADDON, databases.ROOT / "tests" / "addons"]
ICON = re.compile(r"(?<![\w-])(fa|oi)-(?!fw\b|lg\b|\dx\b|spin\b|stack|li\b|ul\b)[a-z]")
NAMES = ("title", "aria-label", "aria-labelledby", "string", "alt", "data-tooltip")
#: What is read out together with the icons inside of it.
READ_AS_ONE = ("a", "button", "label", "li", "summary", "th")
#: Elements of a template that print something.
PRINTING = ("t-out", "t-esc", "t-field")


def get_files():
    for addon in ADDONS:
        for path in sorted(addon.rglob("*.xml")):
            yield path
        for path in sorted(addon.rglob("static/src/**/*.js")):
            if "xml`" in path.read_text():
                yield path


def parse(path):
    """Return the roots of an XML file, or of the templates inside of a script."""
    if path.suffix == ".xml":
        return [etree.parse(path).getroot()]
    blocks = re.findall(r"xml`(.*?)`", path.read_text(), re.DOTALL)
    return [etree.fromstring(f"<t>{block}</t>") for block in blocks]


def is_named(element):
    """Tell whether an element says by an attribute what it is, or that it is mere
    decoration."""
    given = {
        re.sub(r"^(t-attf?-)", "", name): value
        for name, value in element.attrib.items()
    }
    decoration = (
        given.get("aria-hidden") == "true" or given.get("role") == "presentation"
    )
    return decoration or any(given.get(name) for name in NAMES)


def has_text(element):
    """Tell whether something readable is inside of an element."""
    for inner in element.iter():
        if not isinstance(inner.tag, str):
            continue
        if inner is not element and (inner.tag == "field" or is_named(inner)):
            return True
        if any(name in inner.attrib for name in PRINTING):
            return True
    return bool("".join(element.itertext()).strip())


def get_context(element):
    """Yield what is read out together with an element, from the inside out."""
    yield element
    for parent in element.iterancestors():
        if not isinstance(parent.tag, str):
            return
        yield parent
        if parent.tag in READ_AS_ONE:
            return


def is_heard(icon):
    """Tell whether an icon has a name, or stands beside text that says the same."""
    if is_named(icon) or has_text(icon):
        return True
    for parent in list(get_context(icon))[1:]:
        if is_named(parent):
            return True
        if parent.tag in (*READ_AS_ONE, "span", "div", "p", "h2", "h3"):
            return has_text(parent)
    return False


def find_nameless(roots):
    """Return what nobody hears, as text with the line."""
    elements = [
        element
        for root in roots
        for element in root.iter()
        if isinstance(element.tag, str)
    ]
    return [
        f"line {element.sourceline}: {trouble}"
        for element in elements
        if (trouble := get_trouble(element))
    ]


def get_trouble(element):
    """Return what is wrong with one element, or nothing."""
    classes = " ".join(
        element.get(name, "") for name in ("class", "t-att-class", "t-attf-class")
    )
    if element.tag in ("i", "span", "em") and ICON.search(classes):
        return None if is_heard(element) else f"icon “{classes}” without a name"
    is_button = element.tag == "button" or (
        element.tag == "a" and element.get("type") in ("object", "action")
    )
    if is_button and not is_named(element) and not has_text(element):
        return f"a {element.tag} without a name"
    names = {re.sub(r"^(t-attf?-)", "", name) for name in element.attrib}
    if element.tag == "img" and "alt" not in names:
        return "an image without alt"
    return None


@pytest.mark.parametrize(
    "path", get_files(), ids=lambda path: str(path.relative_to(databases.ROOT))
)
def test_every_icon_and_button_has_a_name(path):
    assert find_nameless(parse(path)) == []


@pytest.mark.parametrize(
    "nameless",
    [
        '<div><i class="fa fa-lock"/></div>',
        '<button name="x" type="object" icon="fa-lock"/>',
        '<button class="btn"><i class="fa fa-lock"/></button>',
        '<a type="object" name="x"><i class="oi oi-close"/></a>',
        "<div><span t-att-class=\"x ? 'fa fa-lock' : ''\"/></div>",
        '<img src="x.png"/>',
    ],
)
def test_nameless_is_seen(nameless):
    assert find_nameless([etree.fromstring(nameless)])


@pytest.mark.parametrize(
    "named",
    [
        '<div><i class="fa fa-lock" title="Restricted"/></div>',
        '<button name="x" type="object" icon="fa-lock" string="Lock"/>',
        '<button><i class="fa fa-lock" aria-hidden="true"/> Lock</button>',
        '<button><i class="fa fa-lock"/><span t-out="name"/></button>',
        '<button t-att-title="name"><i class="fa fa-lock"/></button>',
        '<img src="x.png" alt="A lock"/>',
    ],
)
def test_named_is_left_alone(named):
    assert find_nameless([etree.fromstring(named)]) == []
