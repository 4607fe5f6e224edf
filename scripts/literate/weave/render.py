"""Markdown to HTML: mkdocs makes a page again when something that the page rests on has changed."""

import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mkdocs.commands.build import _populate_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import CountHandler

from literate.files import read_text
from literate.kept import Kept, name_of

MANY = 20  # pages that are worth processes of their own: to fork them takes a second
LOG = logging.getLogger("mkdocs")
Found = dict[str, Any]


class Renderer:
    """The pages of one build. ``rests_on`` says what a page is made from, beside the names of all files."""

    def __init__(
        self, store: Kept, config: MkDocsConfig, files: Files, rests_on: Callable[[File], object]
    ) -> None:
        self.store, self.config, self.files, self.rests_on = store, config, files, rests_on

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """A name for all that each page is made from."""
        settings = read_text(Path(self.config.config_file_path))  # may change while the site is served
        every = sorted(file.src_uri for file in self.files)
        pages = self.files.documentation_pages()
        return {file.src_uri: name_of(file.src_uri, self.rests_on(file), every, settings) for file in pages}

    def keep(self, page: Page, finish: Callable[[str], str]) -> None:
        """Have this page rendered, and its HTML finished, only if that is not kept."""
        render = page.render

        def rendered(config: MkDocsConfig, files: Files) -> None:
            name = self.names[page.file.src_uri]
            found: Found | None = self.store.get(dict, "page", name) if self.store.has("page", name) else None
            if found is None:
                with _counted() as said:
                    found = _changed(page, lambda: render(config, files))
                found["content"] = finish(found["content"])
                if not said.get_counts():  # else the next build shall say it again
                    self.store.get(lambda: found, "page", name)
            links = found.pop("links_to_anchors")
            vars(page).update(found, links_to_anchors={files.src_uris[to]: links[to] for to in links})

        page.render = rendered  # type: ignore[method-assign]  # mkdocs has no event that may spare a page

    def ahead(self) -> None:
        """Render what is missing in several processes, if it is much."""
        pages = self.files.documentation_pages()
        missing = [file for file in pages if not self.store.has("page", self.names[file.src_uri])]
        if len(missing) < MANY or sys.platform == "darwin":
            return
        fork, count = multiprocessing.get_context("fork"), os.cpu_count() or 1
        begun = []
        for start in range(count):
            receiver, sender = fork.Pipe(duplex=False)
            share = missing[start::count], sender
            process = fork.Process(target=self._share, args=share, daemon=True)
            with warnings.catch_warnings():  # other threads do not stop these, which ask nothing of them
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            sender.close()
            begun.append((process, receiver))
        for process, receiver in begun:
            with contextlib.suppress(EOFError):  # it has ended early: its pages are rendered in their turn
                self.store.values |= receiver.recv()
            process.join()

    def _share(self, files: Sequence[File], sender: Any) -> None:
        """What one of the processes does. Complaints wait until it is the page's turn."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        LOG.handlers, LOG.propagate = [logging.NullHandler()], False
        before = {*self.store.values}
        for file in files:
            with contextlib.suppress(Exception):
                _populate_page(file.page or Page(None, file, self.config), self.config, self.files)
        sender.send({name: value for name, value in self.store.values.items() if name not in before})


@contextlib.contextmanager
def _counted() -> Iterator[CountHandler]:
    counter = CountHandler(level=logging.WARNING)
    LOG.addHandler(counter)
    try:
        yield counter
    finally:
        LOG.removeHandler(counter)


def _changed(page: Page, render: Callable[[], None]) -> Found:
    """What rendering has changed in a page."""
    before = dict(vars(page))
    render()
    found = {name: value for name, value in vars(page).items() if before.get(name, before) is not value}
    return found | {
        "links_to_anchors": {to.src_uri: links for to, links in (page.links_to_anchors or {}).items()}
    }
