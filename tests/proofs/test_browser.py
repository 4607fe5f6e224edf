"""The real site in Chromium: nothing from elsewhere, nothing sticks out, nothing that some cannot read."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import gzip
import http.server
import io
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, Response, expect, sync_playwright

import pdf
from build_site import build
from literate.chapter import ROOT
from literate.weave.onefile import one_file

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"}
DESK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}
HEAVIEST = 1_400_000  # bytes of one page with all that it loads, once all of it is unfolded, not compressed
HEAVIEST_INDEX = 1_500_000  # of the search, for 24 chapters
HEAVIEST_CHAPTER = 250_000  # bytes of its HTML; panels and figures are files of their own
HEAVIEST_COMPRESSED = 60_000
HEAVIEST_FIGURE = 75_000
HEAVIEST_VIEW = 300_000  # bytes on the way to a reader who has just opened a page, compressed but for fonts
TABS = 4  # at the same time: a page waits longer than it works
RAW = ("$", "\\(", "\\[", "eq:", "{#", "{.", "!!!", "```", "<!--")

LOOK = """JSON.stringify((() => {
    const article = document.querySelector("article").cloneNode(true);
    article.querySelectorAll("pre, code, .katex").forEach(box => box.remove());
    return {
        text: article.textContent,
        width: document.documentElement.scrollWidth,
        errors: document.querySelectorAll(".katex-error").length,
        ids: [...document.querySelectorAll("[id]")].map(element => element.id),
        links: [...document.querySelectorAll("body a[href]")].map(link => link.href),
        colour: getComputedStyle(document.body).backgroundColor,
        panels: [...document.querySelectorAll(".panel")].map(panel => panel.textContent),
    };
})())"""  # in one piece: Playwright takes long over lists

UNREACHABLE = """() => {
    const scrolls = box => getComputedStyle(box).overflowX == "auto" && box.scrollWidth > box.clientWidth;
    const wide = [...document.querySelectorAll(".eq > *, .figure, .panel > *, .worked > *, pre > code")];
    return wide.filter(box => scrolls(box) && box.tabIndex < 0).length;
}"""
# A font that comes late makes boxes wider, so it has to stay like that for a while; tests say what is not.
REACHABLE = f"""async () => {{
    for (let tried = 0, settled = 0; tried < 1200 && settled < 10; tried++) {{
        await document.fonts.ready;
        settled = ({UNREACHABLE})() ? 0 : settled + 1;
        await new Promise(done => setTimeout(done, 50));
    }}
}}"""

# To where a heading has just gone by below the header.
PAST = """name => scrollBy(0, document.getElementById(name).getBoundingClientRect().top - 40)"""

# KaTeX answers for its own markup, which is most of a page; the widths of boxes change with it.
WITHOUT_FORMULAS = """() => {
    document.querySelectorAll(".katex").forEach(box => box.replaceWith("formula"));
    dispatchEvent(new Event("resize"));
}"""
# Text of one colour and size, on the same grounds one over the other, has one contrast: three of a kind will
# do. Computed styles say what is of a kind, and only boxes with words of their own that show are counted.
# Of the marks in code the others become text: nothing else is asked of them. A tab knows what it has counted.
ALIKE = """known => {
    const LOOKS = ["color", "backgroundColor", "backgroundImage", "opacity", "filter", "mixBlendMode",
        "fontSize", "fontWeight", "textShadow", "visibility", "position", "zIndex"];
    const [names, counts] = JSON.parse(known);
    const kinds = new Map(names.map((name, at) => [name, at]));
    const speaks = node => node.nodeType == 3 && node.data.trim();
    const look = (box, above) => {
        const style = getComputedStyle(box), kind = [above, ...LOOKS.map(name => style[name])].join();
        if (!kinds.has(kind)) kinds.set(kind, counts.push(0) - 1);
        const at = kinds.get(kind), shows = [...box.childNodes].some(speaks) && box.checkVisibility();
        box.toggleAttribute("data-alike", shows && ++counts[at] > 3);
        for (const child of box.children) look(child, at);
    };
    look(document.body, "");
    const marks = document.querySelectorAll("pre i[data-alike]:not([id], :has(*))");
    marks.forEach(mark => mark.replaceWith(mark.textContent));
    document.body.normalize();
    return JSON.stringify([[...kinds.keys()], counts]);
}"""
AUDIT = """() => {
    axe.configure({rules: [{id: "color-contrast", selector: ":not([data-alike])"}]});
    const options = {resultTypes: ["violations"], selectors: false};
    return axe.run(document, options).then(result => result.violations);
}"""


@dataclass
class Visit:
    """What was seen of one page."""

    name: str
    wrong: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)  # that it asked for, whether or not the tab had them already
    violations: list[str] = field(default_factory=list)
    look: dict[str, Any] = field(default_factory=dict)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        build(site=folder)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    found = next((path for name in pdf.BROWSERS if (path := shutil.which(name))), None)
    assert found, f"none of {', '.join(pdf.BROWSERS)} is installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser(site: Path) -> Iterator[Browser]:  # the site first: Playwright takes the event loop
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def tours(address: str, site: Path) -> dict[str, list[Visit]]:
    """The visits with each screen."""
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    kinds = {
        name.split("/")[0] if "/" in name else re.split(r"\d", name)[0]: name for name in reversed(names)
    }
    with concurrent.futures.ThreadPoolExecutor(TABS) as pool:
        tabs = [pool.submit(tour, address, names[at::TABS], set(kinds.values())) for at in range(TABS)]
    pairs = [pair for tab in tabs for pair in tab.result()]
    return {"desk": [wide for wide, _ in pairs], "phone": [narrow for _, narrow in pairs]}


@pytest.fixture(params=["phone", "desk"])
def visits(request: pytest.FixtureRequest, tours: dict[str, list[Visit]]) -> list[Visit]:
    return tours[request.param]


def tour(address: str, names: list[str], firsts: set[str]) -> list[tuple[Visit, Visit]]:
    """Page after page in one tab: to begin anew would take longer than most pages."""
    with chromium() as browser, browser.new_context() as tab:
        page = tab.new_page()
        page.add_init_script("localStorage.clear()")  # where Material keeps the scheme
        counted = ["[[], []]"]
        return [visit(page, address, name, name in firsts, counted) for name in names]


def go(page: Page, url: str) -> None:
    """Open the page and wait for its scripts, which come when it has been drawn."""
    page.goto(url)
    page.wait_for_selector(".aloud", state="attached")
    page.wait_for_load_state("networkidle")


def until_reachable(page: Page) -> None:
    """Wait until what scrolls has its place in the order of keys, which a page sees to when it has time."""
    page.evaluate(REACHABLE)


def middle(box: Locator) -> tuple[float, float]:
    """Where the middle of a box is, once it stays there: what is above it, and fonts, may come late."""
    places: list[Any] = [None] * 3
    for _ in range(100):
        box.scroll_into_view_if_needed()
        box.page.evaluate("document.fonts.ready.then(() => 0)")
        places.append(box.bounding_box())
        if places[-1] and places[-3:] == [places[-1]] * 3:
            break
        box.page.wait_for_timeout(50)
    place = places[-1]
    assert place, "the box is not to be seen"
    return place["x"] + place["width"] / 2, place["y"] + place["height"] / 2


def audit(page: Page, counted: list[str] | None = None) -> list[dict[str, Any]]:
    counted = ["[[], []]"] if counted is None else counted  # what ALIKE has found so far
    page.evaluate(WITHOUT_FORMULAS)
    counted[:] = [page.evaluate(ALIKE, *counted)]
    until_reachable(page)
    page.evaluate(AXE.read_text(encoding="utf-8"))  # not a tag: the policy forbids it
    violations: list[dict[str, Any]] = page.evaluate(AUDIT)
    return violations


@contextlib.contextmanager
def watched(page: Page, address: str, name: str) -> Iterator[Visit]:
    seen = Visit(name)

    def arrived(response: Response) -> None:
        if response.status >= 400:
            seen.wrong.append(f"{response.status} {response.url}")

    def asked(request: Request) -> None:
        if request.url.startswith(address):
            seen.files.add(re.sub(r"[?#].*", "", request.url).removeprefix(f"{address}/"))
        elif not request.url.startswith(("data:", "blob:")):
            seen.wrong.append(request.url)

    def logged(message: Any) -> None:
        seen.wrong.append(getattr(message, "text", str(message)))

    watches: dict[Any, Any] = {
        "request": asked,
        "response": arrived,
        "console": logged,
        "pageerror": logged,
    }
    for event, watch in watches.items():
        page.on(event, watch)
    yield seen
    for event, watch in watches.items():
        page.remove_listener(event, watch)


def visit(page: Page, address: str, name: str, is_first: bool, counted: list[str]) -> tuple[Visit, Visit]:
    """A page on the desk and on the phone. The first of each kind is opened and audited on both.

    Of the others the wide page becomes narrow: what opens them is the same, and the wide page differs from
    the narrow one in colours and width alone, which pages of a kind have in common. What stands on the page
    of a chapter's equations is audited where it opens, in the chapter.
    """

    def look(seen: Visit, scheme: str, audited: bool) -> None:
        body = page.locator("body")
        if is_first or scheme == "slate":
            go(page, f"{address}/{name}")
            expect(body).to_have_attribute("data-md-color-scheme", scheme)
            # Of those that share a name only one would be open.
            page.evaluate(
                "document.querySelectorAll('details').forEach(box => { box.name = ''; box.open = true })"
            )
            waiting = page.locator("details[data-panel]:not(:has(.panel))")  # each comes when it is opened
            expect(waiting).to_have_count(0, timeout=60_000)
        else:
            page.evaluate("document.getElementById('__palette_0').click()")  # the light one
            expect(body).to_have_attribute("data-md-color-scheme", scheme)
        page.evaluate("document.fonts.ready.then(() => dispatchEvent(new Event('resize')))")
        until_reachable(page)
        seen.look = json.loads(page.evaluate(LOOK)) | {"unreachable": page.evaluate(UNREACHABLE)}
        for violation in audit(page, counted) if audited else ():
            nodes = [node["html"][:150] for node in violation["nodes"]]
            seen.violations.append(f"{violation['impact']} {violation['id']}, {len(nodes)} times: {nodes[0]}")

    with watched(page, address, name) as wide:
        put_on(page, DESK)
        look(wide, "slate", is_first)
    with watched(page, address, name) as narrow:
        if is_first:
            put_on(page, PHONE)
        page.set_viewport_size(PHONE["viewport"])
        look(narrow, "default", is_first or not name.startswith("equations-"))
    narrow.files |= wide.files
    return wide, narrow


def put_on(page: Page, screen: dict[str, Any]) -> None:
    page.set_viewport_size(screen["viewport"])
    page.emulate_media(color_scheme=screen["color_scheme"])


def test_nothing_comes_from_elsewhere_and_nothing_goes_wrong(visits: list[Visit]) -> None:
    assert {seen.name: seen.wrong for seen in visits if seen.wrong} == {}


def test_no_page_is_heavy(visits: list[Visit], site: Path) -> None:
    # The search's index comes behind the page, once for all of them; panels come when a reader opens one.
    sizes = {
        seen.name: sum(
            (site / name).stat().st_size
            for name in seen.files
            if not name.startswith(("search/", "assets/panels/"))
        )
        for seen in visits
    }
    assert {name: size for name, size in sizes.items() if size > HEAVIEST} == {}
    assert min(sizes.values()) > 300_000
    assert (site / "search" / "search_index.json").stat().st_size < HEAVIEST_INDEX


def test_no_chapter_is_heavy(site: Path) -> None:
    texts = [path.read_bytes() for path in site.glob("[0-9][0-9]-*.html")]
    assert len(texts) > 20 and min(map(len, texts)) > 30_000
    assert max(map(len, texts)) <= HEAVIEST_CHAPTER
    assert max(len(gzip.compress(text, 6)) for text in texts) <= HEAVIEST_COMPRESSED
    figures = [path.stat().st_size for path in site.glob("assets/figures/*.svg")]
    assert len(figures) > 70 and max(figures) <= HEAVIEST_FIGURE


@pytest.mark.parametrize("name", ["index.html", "17-engine.html", "24-diagnose.html"])
def test_a_page_is_soon_there(browser: Browser, address: str, name: str) -> None:
    with browser.new_context(**PHONE) as tab:
        page = tab.new_page()
        came: list[Response] = []
        page.on("response", lambda response: came.append(response))
        go(page, f"{address}/{name}")
        bodies = [(one.url, one.body()) for one in came]
    sent = [len(body if url.endswith(".woff2") else gzip.compress(body, 6)) for url, body in bodies]
    assert len(sent) > 10 and sum(sent) <= HEAVIEST_VIEW


def test_everybody_can_read_it(visits: list[Visit]) -> None:
    """No rule of axe is violated on any page, with all that is folded opened."""
    assert {seen.name: seen.violations for seen in visits if seen.violations} == {}


HARD = {  # one box among many of its kind, and all of one kind
    "article p:nth-of-type(9) { color: #ccc !important }": ["color-contrast"],
    "article p code { opacity: 0.3 }": ["color-contrast"],
    "pre code i.k { color: #ddd !important }": ["color-contrast"],
    "pre code i.nosuch { color: #ddd !important }": [],
}


def test_text_that_is_hard_to_read_is_found(browser: Browser, address: str) -> None:
    with browser.new_context(**PHONE) as tab:
        page = tab.new_page()
        go(page, f"{address}/04-linear.html")
        for rule, found in HARD.items():
            page.evaluate(f"document.styleSheets[0].insertRule({rule!r})")
            assert [one["id"] for one in audit(page)] == found, rule
            page.evaluate("document.styleSheets[0].deleteRule(0)")


def test_a_page_of_equations_has_what_opens_in_its_chapter(visits: list[Visit]) -> None:
    """So there it need not be audited again."""
    panels = {seen.name: seen.look["panels"] for seen in visits}
    pages = [name for name in panels if name.startswith("equations-")]
    assert len(pages) > 15 and all(map(panels.get, pages))
    assert [name for name in pages if panels[name] != panels[name.removeprefix("equations-")]] == []


def test_no_page_scrolls_sideways(visits: list[Visit], request: pytest.FixtureRequest) -> None:
    width = (PHONE if "phone" in request.node.name else DESK)["viewport"]["width"]  # type: ignore[index]
    assert {seen.name: seen.look["width"] for seen in visits if seen.look["width"] > width} == {}


def test_boxes_that_scroll_can_be_reached_with_the_keyboard(visits: list[Visit]) -> None:
    assert [seen.name for seen in visits if seen.look["unreachable"]] == []


def test_nothing_that_a_reader_sees_is_raw(visits: list[Visit]) -> None:
    found = {seen.name: [raw for raw in RAW if raw in seen.look["text"]] for seen in visits}
    assert {name: raw for name, raw in found.items() if raw} == {}
    assert [seen.name for seen in visits if seen.look["errors"]] == []


def test_light_and_dark_are_different(visits: list[Visit], request: pytest.FixtureRequest) -> None:
    light = "phone" in request.node.name
    colours = {sum(map(int, seen.look["colour"][4:-1].split(","))) > 382 for seen in visits}
    assert colours == {light}


def test_links_lead_somewhere(visits: list[Visit], address: str, site: Path) -> None:
    """Every link within the site: its file and its anchor."""
    ids = {seen.name: set(seen.look["ids"]) for seen in visits}
    broken = []
    for seen in visits:
        for link in set(seen.look["links"]):
            path, _, anchor = link.removeprefix(f"{address}/").partition("#")
            if link.startswith(address) and not (
                (site / path).is_file() and (not anchor or anchor in ids[path])
            ):
                broken.append(f"{seen.name}: {link}")
    assert broken == []


def test_a_page_can_be_read_without_scripts(browser: Browser, address: str) -> None:
    with browser.new_context(java_script_enabled=False) as tab:
        page = tab.new_page()
        page.goto(f"{address}/04-linear.html")
        for part in (".eq .katex", ".core pre", ".output pre", "summary", ".eqref"):
            assert page.locator(f"{part}:visible").count(), part


FOLD = 'details[data-panel="eq-linear"]'


@pytest.mark.parametrize("kind", ["http", "file"])
def test_an_equation_opens_and_its_numbers_can_be_changed(
    browser: Browser, address: str, site: Path, kind: str
) -> None:
    """By keyboard, from a server and from a folder: the formula follows, the module's side is left open."""
    with browser.new_context(**PHONE) as tab:
        page = tab.new_page()
        go(page, f"{address if kind == 'http' else site.as_uri()}/04-linear.html")
        page.locator(f"{FOLD} > summary").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(f"{FOLD} .worked input")
        sides = page.locator(f"{FOLD} .sides table")
        before = sides.all_inner_texts()
        assert before[0] == before[1]
        page.locator(f"{FOLD} .worked input").first.fill("7,5")
        page.keyboard.press("Tab")
        after = sides.all_inner_texts()
        assert set("".join(after[0].split())) == {"…"} and after[1] != before[1]
        assert "only the module could work it out" in (page.locator(f"{FOLD} .note").text_content() or "")
        page.locator(f"{FOLD} .worked input").first.fill("x")
        page.keyboard.press("Tab")
        assert page.locator(f"{FOLD} [aria-invalid=true]").count() == 1
        assert sides.all_inner_texts() == after
        assert [one["id"] for one in audit(page)] == []


def test_without_scripts_an_equation_leads_to_its_page(browser: Browser, address: str) -> None:
    with browser.new_context(java_script_enabled=False) as tab:
        page = tab.new_page()
        page.goto(f"{address}/04-linear.html")
        page.locator(f"{FOLD} > summary").click()
        page.locator(f"{FOLD} a").click()
        assert page.url.endswith("/equations-04-linear.html#eq-linear")
        assert "With numbers" in (page.locator(".panel").nth(1).text_content() or "")


def test_a_strip_of_figures_moves_by_button_key_and_slider(browser: Browser, address: str) -> None:
    with browser.new_context(**PHONE, reduced_motion="reduce") as tab:
        page = tab.new_page()
        go(page, f"{address}/15-scalar-tape.html")
        count = page.locator(".stepper output")
        steps = page.locator(".steps > .figure").count()
        assert steps > 2 and count.text_content() == f"1 of {steps}"
        page.get_by_role("button", name="next ›").click()
        expect(count).to_have_text(f"2 of {steps}")
        page.locator(".steps").press("ArrowLeft")
        expect(count).to_have_text(f"1 of {steps}")
        page.get_by_role("slider", name="figure").press("End")
        expect(count).to_have_text(f"{steps} of {steps}")
        last = page.locator(".steps img").last
        expect(last).to_be_in_viewport()
        last.evaluate("image => image.decode()")
        assert last.evaluate("image => image.naturalWidth") > 100
        expect(page.get_by_role("button", name="next ›")).to_be_disabled()


SYMBOL = "#eq-linear-dw .katex-html b"


def test_a_symbol_under_the_pointer_says_what_it_is(browser: Browser, address: str) -> None:
    """A letter; the whole of a derivative; nothing when the pointer leaves, or with Escape."""
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        go(page, f"{address}/04-linear.html")
        about = page.get_by_role("tooltip")

        def point_at(selector: str, text: str) -> None:
            page.mouse.move(*middle(page.locator(selector).get_by_text(text, exact=True)))

        point_at(SYMBOL, "X")
        expect(about).to_contain_text("the batch, one example per row")
        expect(about.locator("code")).to_have_text("X")
        point_at(SYMBOL, "W")
        expect(about).to_contain_text("dW")
        page.keyboard.press("Escape")
        expect(about).to_have_count(0)
        point_at(SYMBOL, "X")
        expect(about).to_have_count(1)
        page.mouse.move(1, 1)
        expect(about).to_have_count(0)
        point_at(SYMBOL, "X")
        assert [one["id"] for one in audit(page)] == []
        expect(about).to_have_count(1)


def test_the_symbols_of_a_formula_are_walked_through_with_keys(browser: Browser, address: str) -> None:
    """One stop for a formula; arrows, Home and End; said aloud; Escape and leaving hush it."""
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        go(page, f"{address}/04-linear.html")
        about, aloud = page.get_by_role("tooltip"), page.get_by_role("status")
        formula = page.locator("#eq-linear-dw").get_by_role("group")
        stops = page.locator("#eq-linear-dw [tabindex='0']")
        expect(stops).to_have_count(1)
        formula.focus()
        seen = []
        for key in ("ArrowRight",) * 3 + ("ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft"):
            page.keyboard.press(key)
            seen.append(about.locator("code").text_content() or "")
            assert seen[-1] in (aloud.text_content() or "") and seen[-1]
        assert seen[0] == "dW" and len(set(seen[:3])) == 3
        assert seen[3] == seen[1] and seen[5] == seen[4] != seen[0] == seen[6] == seen[7]
        page.keyboard.press("Escape")
        expect(about).to_have_count(0)
        expect(formula).to_be_focused()
        page.keyboard.press("ArrowRight")
        expect(about).to_have_count(1)
        page.keyboard.press("Tab")
        expect(about).to_have_count(0)
        expect(aloud).to_be_empty()


def test_a_formula_without_a_table_is_no_stop(browser: Browser, address: str) -> None:
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        go(page, f"{address}/cheatsheet.html")
        assert page.locator(".eq").count() > 50
        assert page.locator(".eq [role=group]").count() == 0


def test_a_finger_on_a_symbol_says_what_it_is(browser: Browser, address: str) -> None:
    with browser.new_context(**PHONE, has_touch=True) as tab:
        page = tab.new_page()
        go(page, f"{address}/04-linear.html")
        box = page.locator(SYMBOL).get_by_text("X", exact=True)
        across, down = middle(box)
        beside = (box.bounding_box() or {"height": 0})["height"] / 2 + 6
        page.touchscreen.tap(across, down + beside)
        expect(page.get_by_role("tooltip").locator("code")).to_have_text("X")
        page.locator("h2").first.tap()
        expect(page.get_by_role("tooltip")).to_have_count(0)


def test_a_page_is_dark_from_the_start_where_the_system_is(browser: Browser, address: str) -> None:
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        page.route("**/*.js", lambda route: route.abort())
        page.goto(f"{address}/04-linear.html")
        assert page.locator("body").get_attribute("data-md-color-scheme") == "slate"


def test_what_is_far_away_is_found_and_printed(browser: Browser, address: str) -> None:
    """Stretches that have not been drawn: a link into one, the search of the browser, and paper."""
    with browser.new_context(**PHONE) as tab:
        page = tab.new_page()
        page.goto(f"{address}/17-engine.html")
        stretches = page.locator(".stretch")
        assert stretches.count() > 20
        skipped = """box => {
            const first = [...box.children].find(child => child.checkVisibility());  // some are not for paper
            return first && !first.checkVisibility({contentVisibilityAuto: true});
        }"""
        last = page.locator(".stretch:not(details *)").last  # a folded section is another matter
        assert last.evaluate(skipped)
        words = (last.locator("p").first.text_content() or "")[:30]
        assert page.evaluate("words => find(words)", words)
        expect(last).to_be_in_viewport()
        label = page.locator(".stretch .eq[id]").last.get_attribute("id")
        page.goto(f"{address}/index.html")
        page.goto(f"{address}/17-engine.html#{label}")
        expect(page.locator(f"#{label}")).to_be_in_viewport()
        page.emulate_media(media="print")
        assert not any(stretches.evaluate_all(f"all => all.map({skipped})"))


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
def test_a_link_opens_what_it_leads_into(browser: Browser, address: str, scripts: bool) -> None:
    with browser.new_context(**DESK, java_script_enabled=scripts) as tab:
        page = tab.new_page()
        for chapter, inside in (
            ("24-diagnose", "some-steps"),
            ("24-diagnose", "code-nothing-found"),
            ("17-engine", "every-kind-tried"),
            ("05-activations", "eq-gelu-tanh"),
        ):
            page.goto(f"{address}/{chapter}.html")
            place = page.locator(f"details.library #{inside}")
            expect(place).to_be_hidden()
            page.goto(f"{address}/index.html")
            page.goto(f"{address}/{chapter}.html#{inside}")
            expect(place).to_be_visible()
            expect(place).to_be_in_viewport()
        page.goto(f"{address}/24-diagnose.html")
        page.locator('.md-sidebar--secondary a[href="#probes-of-the-start"]').click()
        expect(page.locator("#probes-of-the-start")).to_be_in_viewport()


def test_searches_lead_into_a_section_for_the_library(browser: Browser, address: str) -> None:
    """That of the site, and the browser's: it opens what a link to words opens."""
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        go(page, f"{address}/index.html")
        page.locator(".md-search__input").press_sequentially("probes of evaluation")
        page.locator('.md-search-result__link[href*="#probes-of-evaluation"]').first.click(timeout=60_000)
        page.wait_for_url("**/24-diagnose.html*")
        expect(page.locator("#probes-of-evaluation")).to_be_in_viewport()
        page.goto(f"{address}/index.html")
        page.goto(f"{address}/24-diagnose.html#:~:text=finds%20all%20that%20hangs")
        expect(page.get_by_text("finds all that hangs")).to_be_in_viewport()


def test_a_section_for_the_library_has_its_place_in_the_list_of_headings(
    browser: Browser, address: str
) -> None:
    """Open or not, the list says where one is; a key opens it."""
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        go(page, f"{address}/24-diagnose.html")
        active = page.locator(".md-sidebar--secondary .md-nav__link--active")
        headings = ["the-idea-of-diagnose", "for-the-library", "does-it-find-them", "what-it-cannot-tell"]
        for inside in ([], ["some-steps", "all-of-them"]):
            for heading in headings[:2] + inside + headings[2:]:
                page.evaluate(PAST, heading)
                expect(active.last).to_have_attribute("href", f"#{heading}")
            if not inside:
                expect(page.locator("#some-steps")).to_be_hidden()
                page.locator("details.library > summary").press("Enter")
        expect(page.locator("#some-steps")).to_be_visible()
        until_reachable(page)
        assert page.evaluate(UNREACHABLE) == 0


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
def test_a_section_for_the_library_is_open_on_paper(browser: Browser, address: str, scripts: bool) -> None:
    with browser.new_context(java_script_enabled=scripts) as tab:
        page = tab.new_page()
        page.goto(f"{address}/24-diagnose.html")
        page.emulate_media(media="print")
        expect(page.locator("details.library #code-nothing-found pre")).to_be_visible()
        tops = [page.locator(f"#{name}").bounding_box() for name in ("all-of-them", "does-it-find-them")]
        assert tops[0] and tops[1] and tops[0]["y"] + 1000 < tops[1]["y"]


def test_a_figure_takes_the_colours_of_the_page_and_not_of_the_system(browser: Browser, address: str) -> None:
    """A reader whose system is dark and who has chosen the light scheme, and the other way round."""
    for system, chosen, ink in (("dark", "default", 90), ("light", "slate", 160)):
        with browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=system) as tab:
            page = tab.new_page()
            go(page, f"{address}/04-linear.html")
            page.evaluate(f"document.body.dataset.mdColorScheme = '{chosen}'")
            image = page.locator(".figure img").first
            image.scroll_into_view_if_needed()
            image.evaluate("image => image.decode()")
            shot = np.asarray(Image.open(io.BytesIO(image.screenshot())).convert("L"), int)
            paper = np.median(shot)
            assert (paper > 200) == (chosen == "default")
            assert (shot < ink).any() if chosen == "default" else (shot > ink).any()


def test_without_scripts_the_figures_of_a_strip_follow_one_another(browser: Browser, address: str) -> None:
    with browser.new_context(**PHONE, java_script_enabled=False) as tab:
        page = tab.new_page()
        page.goto(f"{address}/15-scalar-tape.html")
        strip = page.locator(".steps > .figure")
        boxes = strip.evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
        assert len(boxes) > 2 and boxes == sorted(set(boxes))


def test_an_exercise_that_is_ticked_stays_ticked_in_this_browser(browser: Browser, address: str) -> None:
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        go(page, f"{address}/exercises/linear.html")
        box = page.get_by_label("done").first
        box.check()
        page.reload()
        assert box.is_checked() and page.get_by_label("done").nth(1).is_checked() is False
        go(page, f"{address}/exercises.html")
        expect(page.locator(".ticked")).to_have_count(1)
        assert page.locator("[data-ticked]").text_content() == "1"
        assert tab.cookies() == []
        page.evaluate("localStorage.clear(), dispatchEvent(new PageTransitionEvent('pageshow'))")
        expect(page.locator(".ticked")).to_have_count(0)  # as when a reader comes back to it


def test_a_tick_has_a_name_of_its_own_and_shows_what_is_kept(browser: Browser, address: str) -> None:
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        go(page, f"{address}/exercises/linear.html")
        expect(page.get_by_role("checkbox", name="done: linear-count", exact=True)).to_have_count(1)
        page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full') } }")
        page.get_by_label("done").first.click()
        expect(page.get_by_label("done").first).not_to_be_checked()


def test_solutions_are_folded_and_nothing_is_offered_without_scripts(browser: Browser, address: str) -> None:
    with browser.new_context(java_script_enabled=False) as tab:
        page = tab.new_page()
        page.goto(f"{address}/exercises/linear.html")
        assert page.locator(".task").first.is_visible() and page.locator(".task input").count() == 0
        assert not page.locator("details.solution pre").first.is_visible()
        assert not page.locator("details.check pre").first.is_visible()


def test_the_cheat_sheet_prints_on_two_sides(browser: Browser, address: str) -> None:
    with browser.new_context() as tab:
        page = tab.new_page()
        go(page, f"{address}/cheatsheet.html")
        printed = page.pdf(format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "8mm"))
        assert re.findall(rb"/Type\s*/Page\b", printed) == [b"/Type /Page"] * 2


def test_the_search_finds_a_name(browser: Browser, address: str) -> None:
    with browser.new_context(**DESK) as tab:
        page = tab.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        go(page, f"{address}/index.html")
        assert not any("search_index" in url for url in asked)  # not before a reader turns to the search
        page.locator(".md-search__input").press_sequentially("gradcheck")  # the page listens to keys
        page.wait_for_selector(".md-search-result__link", timeout=60_000)
        links = page.locator(".md-search-result__link").evaluate_all("links => links.map(a => a.href)")
        assert any("02-checking.html" in link for link in links)


@pytest.mark.parametrize("place", ["file", "/some/path"])
def test_the_site_works_from_a_folder_and_below_a_path(
    browser: Browser, site: Path, tmp_path: Path, place: str
) -> None:
    """All that pages ask for is there and lies below their own folder; nothing is said on the console."""
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "path").symlink_to(site)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = site.as_uri() if place == "file" else f"http://127.0.0.1:{server.server_port}{place}"
        wrong: list[str] = []
        with browser.new_context(**DESK) as tab:
            page = tab.new_page()
            own = (f"{home}/", "data:", "blob:")
            page.on("request", lambda one: None if one.url.startswith(own) else wrong.append(one.url))
            page.on("requestfailed", lambda one: wrong.append(one.url))
            page.on("response", lambda one: wrong.append(one.url) if one.status >= 400 else None)
            page.on("console", lambda message: wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            for name in ("index.html", "exercises/linear.html", "notebooks/01-slope.html", "04-linear.html"):
                go(page, f"{home}/{name}")
            page.locator(".md-search__input").press_sequentially("gradcheck")
            page.wait_for_selector(".md-search-result__link", timeout=60_000)
            page.keyboard.press("Escape")
            page.locator(f"{FOLD} > summary").click()
            page.wait_for_selector(f"{FOLD} .worked input")
            page.get_by_role("link", name="5. Something that bends").first.click()
            page.wait_for_url(f"{home}/05-activations.html")
        server.shutdown()
    assert wrong == []


# -- the book in one file ---------------------------------------------------------------

FEW: list[Any] = [
    {"Preface": "index.md"},
    {"Part I": ["04-linear.md", "09-optimizers.md"]},
    {"Back matter": ["cheatsheet.md", "names.md"]},
]
OVER = """() => {
    const page = document.documentElement.clientWidth, out = [];
    const name = box => `${box.closest("section[id]").id}: ${box.textContent.slice(0, 60)}`;
    const tell = (box, over) => over > 1 && out.push([name(box), over]);
    for (const box of document.querySelectorAll("section *")) {
        if (box.parentElement.closest("svg, .katex")) continue;  // KaTeX clips what is wider than its box
        const {left, right, width} = box.getBoundingClientRect();
        if (width) tell(box, Math.max(right - page, -left));
        if (box.matches("pre > code")) tell(box, box.scrollWidth - box.clientWidth);
    }
    for (const box of document.querySelectorAll("section .katex-html")) {
        const room = box.closest("td, p, li, .arithmatex, h2, h3, dd, summary").getBoundingClientRect();
        const end = box.lastElementChild.getBoundingClientRect().right;
        tell(box, end - Math.max(room.right, box.closest("td") ? page : 0));
    }
    return out;
}"""


@pytest.fixture(scope="module")
def one(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one") / "book.html"  # another folder: all it needs is inside
    path.write_text(one_file(site, FEW, "How backpropagation really works"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def printed(one: Path) -> bytes:
    found = next(path for name in pdf.BROWSERS if (path := shutil.which(name)))
    pdf.write_pdf(found, one, one.with_suffix(".pdf"))
    return one.with_suffix(".pdf").read_bytes()


def test_nothing_runs_out_of_the_printed_page(browser: Browser, one: Path) -> None:
    asked: list[str] = []
    with browser.new_context(viewport={"width": 673, "height": 971}) as tab:  # A4 without its margins
        page = tab.new_page()
        page.emulate_media(media="print")
        page.on("request", lambda request: asked.append(request.url))
        page.goto(one.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 673
        assert page.evaluate(OVER) == []
        wraps = "all => all.filter(one => getComputedStyle(one).whiteSpace != 'pre').length"
        assert page.locator(".core pre > code").count() > 20
        assert page.locator(".core pre > code").evaluate_all(wraps) == 0
    assert [url for url in asked if not url.startswith("data:")] == [one.as_uri()]


def test_the_pdf_has_pages_links_and_an_outline(printed: bytes) -> None:
    assert 40 < len(re.findall(rb"/Type\s*/Page\b", printed)) < 80
    titles = re.findall(rb"/Title \(([^)]*)\)", printed)
    for title in (
        b"Part I",
        b"4. The linear layer",
        b"Cheat sheet",
        b"Three questions, one upstream gradient",
    ):
        assert titles.count(title) == 1, title
    (names,) = re.findall(rb"<<((?:/\S+ \[\d+ 0 R /XYZ [^]]*\]\s*)+)>>", printed)
    targets = set(re.findall(rb"/(\S+) \[", names))
    links = re.findall(rb"/Dest /(\S+?)[\s>]", printed)
    assert len(links) > 150 and set(links) <= targets
    assert all(link.startswith(b"http") for link in re.findall(rb"/URI \(([^)]*)\)", printed))


def test_the_cheat_sheet_takes_two_sides_of_the_book(site: Path, tmp_path: Path) -> None:
    page = tmp_path / "sheet.html"
    page.write_text(one_file(site, [{"Back matter": ["cheatsheet.md"]}], "Book"), encoding="utf-8")
    found = next(path for name in pdf.BROWSERS if (path := shutil.which(name)))
    pdf.write_pdf(found, page, tmp_path / "sheet.pdf")
    pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "sheet.pdf").read_bytes())
    assert len(pages) == 1 + 2  # the cover


def test_two_prints_are_the_same_to_the_byte(printed: bytes, one: Path, tmp_path: Path) -> None:
    found = next(path for name in pdf.BROWSERS if (path := shutil.which(name)))
    pdf.write_pdf(found, one, tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == printed


def test_make_pdf_prints_the_whole_book(browser: Browser, site: Path, tmp_path: Path) -> None:
    """Each chapter in the outline, each link to somewhere, no line of code broken or cut."""
    copy = tmp_path / "site"
    copy.mkdir()
    for path in site.iterdir():
        (copy / path.name).symlink_to(path)
    assert pdf.main(copy) == 0
    printed = (copy / "book.pdf").read_bytes()
    titles = [title.split(b".")[0] for title in re.findall(rb"/Title \(([^)]*)\)", printed)]
    assert [number for number in range(1, 22) if str(number).encode() not in titles] == []
    (names,) = re.findall(rb"<<((?:/\S+ \[\d+ 0 R /XYZ [^]]*\]\s*)+)>>", printed)
    targets = set(re.findall(rb"/(\S+) \[", names))
    links = re.findall(rb"/Dest /(\S+?)[\s>]", printed)
    assert len(links) > 1000 and set(links) <= targets
    with browser.new_context(viewport={"width": 673, "height": 971}) as tab:  # A4 without its margins
        page = tab.new_page()
        page.emulate_media(media="print")
        page.goto((copy / "book.html").as_uri())
        wraps = "all => all.filter(one => getComputedStyle(one).whiteSpace != 'pre').length"
        code = page.locator(".core pre > code")
        assert code.count() > 200 and code.evaluate_all(wraps) == 0
        over = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).length"
        assert code.evaluate_all(over) == 0
