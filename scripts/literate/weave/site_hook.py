"""What mkdocs calls while it builds the site. The work is done in run, weave and their neighbours."""

import functools
import multiprocessing
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from jinja2 import Environment, FileSystemBytecodeCache
from material.plugins.search import plugin as search
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from nbconvert.exporters import templateexporter
from nbformat import NotebookNode

from literate import kept
from literate.chapter import ROOT, BookError, Chapter, shown_path
from literate.exercises.marker import Marker
from literate.files import read_text, sweep, write_atomically
from literate.kept import Kept, name_of
from literate.reader import read_book
from literate.run.notebooks import latest, run
from literate.tangle.module import tangle
from literate.weave import backmatter, exercises, light, panels
from literate.weave import pages as weave
from literate.weave.figures import colours
from literate.weave.finish import DIGEST, finish
from literate.weave.marks import checks, rest_on
from literate.weave.notebook import saved, tidy
from literate.weave.render import Renderer

CACHE = Path(".cache")
COMPILED = FileSystemBytecodeCache(str(CACHE / "templates"))
NOTEBOOKS = CACHE / f"site-{os.getpid()}"  # of this build: one that serves may run beside it
PACKAGES = ROOT / "node_modules"
FONTS = {
    "source-serif-4": ("400", "400-italic", "600"),
    "source-sans-3": ("400", "600"),
    "source-code-pro": ("400",),
}
FACE = re.compile(r"/\* ([\w-]+-(?:latin|greek)-\d+-\w+) \*/\n@font-face \{.*?\n\}", re.S)

RUNNING = """\
!!! info "The chapters are being run"
    Until then outputs are missing, or those of an earlier version. This page shows itself anew."""

P = ParamSpec("P")
R = TypeVar("R")

book: weave.Book
marker: Marker  # knows the exercises
renderer: Renderer
executed: dict[Path, NotebookNode]
pages: dict[str, str]
downloads: dict[str, str]  # the notebooks
serving = False
running: tuple[Path, ...] = ()  # what is being run behind the pages of --serve
failure: BookError | None = None  # how that ended
behind: threading.Thread | None = None  # starts when the pages are written


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """A mistake in the book ends the build with its place, not with a traceback."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except BookError as error:
            raise Abort(str(error)) from None

    return wrapper


def on_startup(command: str, **_: Any) -> None:
    global serving
    search.Parser = light.SearchParser
    serving = command == "serve"
    kept.store = Kept(CACHE / "site.pickle")
    (CACHE / "templates").mkdir(parents=True, exist_ok=True)
    notebooks: Any = templateexporter
    notebooks.Environment = functools.partial(Environment, bytecode_cache=COMPILED)


def on_shutdown() -> None:
    kept.store = None


def on_serve(server: LiveReloadServer, **_: Any) -> LiveReloadServer:
    """Show the pages again when the chapters have run."""
    (CACHE / "ran").touch()
    server.watch(str(CACHE / "ran"))
    return server


def executed_or_latest(chapters: list[Chapter]) -> tuple[dict[Path, NotebookNode], dict[str, Any]]:
    """Executed notebooks and checked equations. A reader who waits for the pages gets them before."""
    global running, failure, behind
    assert kept.store
    notebooks, missing = latest(chapters, CACHE / "chapters")
    what = "checks", rest_on(chapters)
    if not missing:
        return notebooks, kept.store.get(lambda: checks(chapters, CACHE), *what)
    if not serving and kept.store.has(*what):
        return run(chapters, CACHE / "chapters"), kept.store.get(dict, *what)
    if not serving:
        with multiprocessing.Pool(1, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as beside:
            found = beside.apply_async(checks, (chapters, CACHE))
            return run(chapters, CACHE / "chapters"), kept.store.get(found.get, *what)
    if running == missing:
        if failure:
            raise failure
    else:
        running, failure = missing, None
        behind = threading.Thread(target=run_behind, args=(chapters, missing), daemon=True)
    return notebooks, {}


def run_behind(chapters: list[Chapter], entries: tuple[Path, ...]) -> None:
    global failure
    try:
        run(chapters, CACHE / "chapters")
    except BookError as error:
        if running == entries:
            failure = error
    (CACHE / "ran").touch()


@event_priority(100)  # before mkdocs-jupyter, which shall find the notebooks
@explained
def on_files(files: Files, config: MkDocsConfig) -> Files:
    global book, marker, executed, pages, downloads
    chapters = read_book(Path(config.docs_dir))
    executed, found = executed_or_latest(chapters)
    module = tangle(chapters)
    book = weave.Book(chapters, module, found) if found else weave.Book(chapters, module)
    if (style := Path(config.docs_dir, "assets", "book.css")).exists():
        book.palette = colours(read_text(style))
    pages = {}
    for chapter in chapters:
        text = backmatter.generated(weave.page(book, chapter, executed[chapter.path]), book)
        if not found:
            text = re.sub(r"^# .*$", rf"\g<0>\n\n{RUNNING}", text, count=1, flags=re.M)
        pages[chapter.path.name] = panels.with_openers(text, book)
    marker = Marker(chapters)
    ends = {}
    for sheet in marker.sheets:
        pages[sheet.chapter.path.name] = exercises.linked(pages[sheet.chapter.path.name], sheet)
        ends[sheet.chapter.path] = exercises.at_the_end(sheet)
    pages |= (woven := exercises.pages(book, marker))
    if woven:
        files.append(File.generated(config, exercises.INDEX, content=woven[exercises.INDEX]))
    for name, text in backmatter.pages(book).items():
        files.append(File.generated(config, name, content=text))
    assert kept.store
    downloads, numbers = {}, {label: one.number for label, one in book.equations.items()}
    for chapter in chapters:
        if chapter.number:
            name = f"notebooks/{chapter.path.stem}.ipynb"
            parts = book, chapter, executed[chapter.path], ends.get(chapter.path, "")
            source = chapter.text, numbers, book.module.digest, *parts[2:]
            save = functools.partial(saved, *parts)
            downloads[name], shown = kept.store.get(save, "notebook", *source)
            write_atomically(NOTEBOOKS / name, shown)
            files.append(File(name, str(NOTEBOOKS), config.site_dir, config.use_directory_urls))
    config.copyright = f"Made from source {DIGEST}"
    return files


@event_priority(-100)  # after mkdocs-jupyter
def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    global renderer
    assert kept.store
    renderer = Renderer(kept.store, config, files, rests_on)
    renderer.ahead()
    return nav


def on_env(env: Environment, **_: Any) -> None:
    env.bytecode_cache = COMPILED


def chapter_of(notebook: File) -> Chapter | None:
    stem = Path(notebook.src_uri).stem if notebook.src_uri.startswith("notebooks/") else ""
    return next((chapter for chapter in book.chapters if chapter.path.stem == stem), None)


def rests_on(file: File) -> object:
    """All that the HTML of a page is made from."""
    text = pages.get(file.src_uri) or file.content_string
    if chapter := chapter_of(file):
        return [name_of(text), chapter.number]
    shown = panels.fill(text, book)
    return [name_of(shown), weave.labels(shown, book)]


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    name = page.file.src_uri
    if chapter := chapter_of(page.file):
        page.meta["search"] = {"exclude": True}
        renderer.keep(page, functools.partial(tidy, chapter=chapter))
        return markdown
    for chapter in book.chapters:
        if chapter.path.name == name and chapter.number:
            page.meta["title"] = f"{chapter.number}. {chapter.title}"

    def url(path: Path) -> str:
        target = files.get_file_from_path(path.name)
        return target.url_relative_to(page.file) if target else ""

    renderer.keep(page, lambda content: weave.link_labels(panels.fill(content, book), book, url))
    return pages.get(name, markdown)


def on_post_page(output: str, **_: Any) -> str:
    search = 'data-md-component="search" role="dialog"'
    return output.replace(search, f'{search} aria-label="Search"')


on_post_template = on_post_page  # of 404.html


@explained
def on_post_build(config: MkDocsConfig) -> None:
    global behind
    site = Path(config.site_dir)
    copy_assets(site / "assets")
    for name, text in book.figures.items():
        write_atomically(site / "assets" / "figures" / name, text)
    for name, text in downloads.items():
        write_atomically(site / name, text)
    finish(
        site,
        [*book.chapters, *(sheet.text for sheet in marker.sheets)],
        book.module.digest,
        CACHE / "formulas.pickle",
    )
    assert kept.store
    kept.store.save()
    shutil.rmtree(NOTEBOOKS, ignore_errors=True)
    sweep(CACHE)
    for name in ("sitemap.xml", "sitemap.xml.gz"):  # they hold dates
        (site / name).unlink(missing_ok=True)
    if behind:
        behind.start()
        behind = None


def copy_assets(assets: Path) -> None:
    """Fonts and the style of formulas, from the installed packages into the site."""
    try:
        _copy(assets)
    except FileNotFoundError as error:
        missing = shown_path(Path(error.filename))
        said = f"its packages are not installed ({missing} is missing); run npm ci --ignore-scripts"
        raise BookError(ROOT / "package.json", said) from None


def _copy(assets: Path) -> None:
    katex = PACKAGES / "katex" / "dist"
    (assets / "katex" / "fonts").mkdir(parents=True)
    shutil.copy(katex / "katex.min.css", assets / "katex")
    for font in katex.glob("fonts/*.woff2"):
        shutil.copy(font, assets / "katex" / "fonts")
    (assets / "fonts").mkdir()
    faces = []
    for family, styles in FONTS.items():
        folder = PACKAGES / "@fontsource" / family
        for style in styles:
            for face in FACE.finditer((folder / f"{style}.css").read_text(encoding="utf-8")):
                shutil.copy(folder / "files" / f"{face[1]}.woff2", assets / "fonts")
                faces.append(
                    re.sub(r"url\(\./files/([\w-]+\.woff2)\).*", r"url(\1) format('woff2');", face[0])
                )
    write_atomically(assets / "fonts" / "fonts.css", "\n".join(faces) + "\n")
