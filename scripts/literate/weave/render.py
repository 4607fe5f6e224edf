"""Markdown to HTML: mkdocs makes a page again when something that the page rests on has changed."""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from mkdocs.commands.build import _populate_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import CountHandler

from literate.kept import Kept, name_of

MANY = 8  # pages that are worth processes of their own
LOG = logging.getLogger("mkdocs")
Found = dict[str, Any]


class Renderer:
    """The pages of one build. ``rests_on`` says what a page is made from, beside the names of all files."""

    def __init__(self, store: Kept, files: Files, rests_on: Callable[[File], object]) -> None:
        self.store, self.files, self.rests_on = store, files, rests_on

    @functools.cached_property
    def names(self) -> dict[str, str]:
        every = sorted(file.src_uri for file in self.files)
        pages = self.files.documentation_pages()
        return {file.src_uri: name_of(file.src_uri, self.rests_on(file), every) for file in pages}

    def keep(self, page: Page, finish: Callable[[str], str]) -> None:
        """Have this page rendered, and its HTML finished, only if that is not kept."""
        render = page.render

        def rendered(config: MkDocsConfig, files: Files) -> None:
            name = self.names[page.file.src_uri]
            found = self.store.get(dict, "page", name) if self.store.has("page", name) else {}
            if not found:
                counter = CountHandler(level=logging.WARNING)
                LOG.addHandler(counter)
                found = _changed(page, lambda: render(config, files))
                LOG.removeHandler(counter)
                found["content"] = finish(found["content"])
                if not counter.get_counts():  # else the next build shall say it again
                    self.store.get(lambda: found, "page", name)
            links = found.pop("links_to_anchors")
            vars(page).update(found, links_to_anchors={files.src_uris[to]: links[to] for to in links})

        page.render = rendered  # type: ignore[method-assign]

    def ahead(self, config: MkDocsConfig) -> None:
        """Render what is missing in several processes, if it is much."""
        pages = self.files.documentation_pages()
        missing = [file for file in pages if not self.store.has("page", self.names[file.src_uri])]
        if len(missing) < MANY or sys.platform in ("win32", "darwin"):
            return
        fork, count = multiprocessing.get_context("fork"), os.cpu_count() or 1
        receivers = []
        for start in range(count):
            receiver, sender = fork.Pipe(duplex=False)
            fork.Process(target=self._share, args=(missing[start::count], config, sender), daemon=True).start()
            sender.close()
            receivers.append(receiver)
        for receiver in receivers:
            with contextlib.suppress(EOFError):  # it has ended early: its pages are rendered in their turn
                self.store.values |= receiver.recv()

    def _share(self, files: Sequence[File], config: MkDocsConfig, sender: Any) -> None:
        """What one of the processes does. Complaints wait until it is the page's turn."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        LOG.handlers, LOG.propagate = [], False
        before = {*self.store.values}
        for file in files:
            with contextlib.suppress(Exception):
                _populate_page(file.page or Page(None, file, config), config, self.files)
        sender.send({name: value for name, value in self.store.values.items() if name not in before})


def _changed(page: Page, render: Callable[[], None]) -> Found:
    """What rendering has changed in a page."""
    before = dict(vars(page))
    render()
    found = {name: value for name, value in vars(page).items() if before.get(name, before) is not value}
    return found | {"links_to_anchors": {to.src_uri: links for to, links in (page.links_to_anchors or {}).items()}}
