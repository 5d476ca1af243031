"""The documentation as a site: complete, without a warning, and usable in a browser."""

from __future__ import annotations

import html
import importlib
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import final
from urllib.parse import quote, unquote, urldefrag, urlsplit

import pytest

from cabinet_sdk import AsyncCabinet, Cabinet
from cabinet_sdk.contract import CONTRACT, Row
from docs.extension.names import CATALOGUES
from docs.extension.search import SearchEnglishAndRussian
from tests.docs.blocks import ROOT
from tests.docs.browser import Browser
from tests.docs.conftest import Site

pytestmark = pytest.mark.slow


@final
class Page(HTMLParser):
    """The ids of a page and the addresses that it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what matters."""
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name in {"href", "src"} and value and tag != "base":
                self.addresses.append(value)


def inventory(site: Site) -> set[tuple[str, str]]:
    """Return what the site documents, as pairs of kind and name: what Sphinx tells other sites."""
    packed = (site.folder / "objects.inv").read_bytes().partition(b"zlib.\n")[2]
    lines = zlib.decompress(packed).decode().splitlines()
    found = [re.fullmatch(r"(?P<name>.+?) (?P<kind>\w+:\w+) -?\d+ \S* .*", line) for line in lines]
    return {(match["kind"].partition(":")[0], match["name"]) for match in found if match}


def text_of(page: str) -> str:
    """Return what a reader sees of a page, on one line and with the apostrophes of the source."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).replace("’", "'").split())


def pages_of(site: Site) -> dict[str, Page]:
    """Return every page by its path."""
    return {
        path.relative_to(site.folder).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in site.folder.rglob("*.html")
    }


def lost_links(pages: dict[str, Page], folder: Path) -> list[str]:
    """Return the addresses in the site that lead nowhere, each with its page."""
    lost: list[str] = []
    for name, page in pages.items():
        for address in page.addresses:
            if urlsplit(address).scheme or address.startswith("//"):
                continue
            target, fragment = urldefrag(address)
            path = (folder / name).parent / unquote(urlsplit(target).path) if target else folder / name
            there = path.resolve().relative_to(folder.resolve()).as_posix()
            if not path.is_file() or (fragment and there in pages and unquote(fragment) not in pages[there].ids):
                lost.append(f"{name}: {address}")
    return lost


def test_site_builds_without_a_warning(site: Site) -> None:
    """Every page reads well, every page is in the navigation, every name that is referred to is somewhere."""
    assert site.warnings == ""
    assert site.succeeded


def test_every_public_name_is_documented(site: Site) -> None:
    """Whatever a catalogue exports stands in the reference under the name by which it is imported."""
    documented = {name for kind, name in inventory(site) if kind == "py"}
    exported = [f"{module}.{name}" for module in CATALOGUES for name in importlib.import_module(module).__all__]

    assert len(exported) > 150
    assert [name for name in exported if name not in documented] == []


def test_every_operation_is_documented(site: Site) -> None:
    """Each row has an entry, and its method one for each client."""
    documented = inventory(site)

    assert [row.id for row in CONTRACT if ("std", row.id) not in documented] == []
    assert [
        (row.id, mode)
        for row in CONTRACT
        for mode in ("", "Async")
        if ("py", f"cabinet_sdk.{row.area}.{mode}{row.area.capitalize()}.{row.id.partition('.')[2]}") not in documented
    ] == []


@pytest.mark.parametrize("row", CONTRACT, ids=lambda row: row.id)
def test_entry_tells_what_the_row_says(site: Site, row: Row) -> None:
    """The entry of an operation shows address, permission, problems with their remedies, and what travels."""
    page = (site.folder / "reference" / f"{row.area}.html").read_text(encoding="utf-8")
    _, _, rest = page.partition(f'id="std-operation-{row.id}"')
    text = text_of(rest.partition("<section ")[0])

    told = [
        row.summary.replace("``", ""),
        f"{row.method} /v1{row.path}",
        f"«{row.permission.label}»",
        row.repeat.value,
        *(word for error in row.errors for word in (error.__name__, error.code, error.remedy)),
    ]
    assert [each for each in told if each not in text] == []
    if (ROOT / "tests" / "wire" / row.area / f"{row.id}.json").exists():
        assert "On the wire" in text


def test_links_inside_the_site_lead_somewhere(site: Site) -> None:
    """Each address of a page is that of a file of the site, and each fragment that of an element."""
    pages = pages_of(site)

    assert len(pages) > 20
    assert lost_links(pages, site.folder) == []


def test_lost_link_is_found(tmp_path: Path) -> None:
    """A page that is not there and an element that is not there are each reported."""
    (tmp_path / "a.html").touch()
    page = Page('<p id="here"><a href="a.html#here"></a><a href="a.html#there"></a><a href="b.html"></a></p>')

    assert lost_links({"a.html": page}, tmp_path) == ["a.html: a.html#there", "a.html: b.html"]


@pytest.mark.parametrize(
    "one, other",
    [("начисление", "начисления"), ("Штраф", "штрафов"), ("payment", "payments"), ("retry", "retries")],
)
def test_search_knows_the_forms_of_words(one: str, other: str) -> None:
    """Forms of one word, Russian or English, are one word to the search."""
    language = SearchEnglishAndRussian({})

    assert language.stem(one) == language.stem(other)


@pytest.mark.parametrize(
    "words, page",
    [
        ("штраф", "glossary.html"),
        ("платежи", "glossary.html"),
        ("pay", "reference/charges.html"),
        ("OutcomeUnknown", "reference/errors.html"),
        ("retries", "guides/errors.html"),
    ],
)
def test_search_finds(site_url: str, browser: Browser, words: str, page: str) -> None:
    """Russian words, English words and names lead to their pages, in a real browser."""
    browser.size(1280, 900)
    browser.open(f"{site_url}search.html?q={quote(words)}")
    browser.wait_until("/found/.test(document.querySelector('.search-summary')?.innerText)")
    found = browser.run("[...document.querySelectorAll('#search-results li a')].map(link => link.pathname.slice(1))")

    assert page in found


def test_navigation_leads_from_the_index_to_an_operation(site_url: str, browser: Browser) -> None:
    """What a reader clicks: the index, the tutorial, the reference of operations, one of them."""
    browser.size(1280, 900)
    browser.open(f"{site_url}index.html")
    titles: list[str] = []
    for text in ("tutorial", "Operations", "charges.pay"):
        browser.click(text)
        titles.append(browser.run("document.querySelector('h1').innerText"))

    assert titles == ["An evening with cabinet_sdk", "Operations", "Charges"]
    assert browser.run("location.hash") == "#std-operation-charges.pay"


@pytest.mark.parametrize("width, mobile", [(390, True), (1280, False)], ids=["phone", "desk"])
def test_no_page_is_wider_than_the_window(
    site: Site, site_url: str, browser: Browser, width: int, *, mobile: bool
) -> None:
    """Wide tables and code scroll in their own frames, with everything unfolded, and nothing comes from elsewhere."""
    browser.size(width, 844, mobile=mobile)
    for name in pages_of(site):
        browser.open(site_url + name)
        browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert browser.run("document.documentElement.scrollWidth") <= width, name
        assert browser.complaints() == [], name
        foreign = [url for url in browser.addresses() if not url.startswith((site_url, "data:"))]
        assert foreign == [], name


def test_clients_are_what_the_tests_mean() -> None:
    """The names by which methods are looked up are those of the clients' areas."""
    areas = sorted({row.area for row in CONTRACT})

    assert [area for area in areas if not (hasattr(Cabinet, area) and hasattr(AsyncCabinet, area))] == []
