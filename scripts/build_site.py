"""Build the site into site/, or serve it with live reload. A build that fails leaves the last good site."""

import argparse
import errno
import gc
import logging
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from mkdocs.commands.build import build as mkdocs_build
from mkdocs.commands.serve import serve
from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException

from literate.chapter import BOOK, ROOT, BookError, shown_path
from literate.files import alone, command, reason
from literate.weave.spared import spare

CONFIG = ROOT / "mkdocs.yml"


class BookLines(logging.Formatter):
    """Says at which line of the book the link stands that mkdocs complains about."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        found = re.search(r"Doc file '([^']+)' contains .*?link '([^']+)'", message)
        source = self.folder / found[1] if found else None
        if found and source and source.exists():
            for number, line in enumerate(source.read_text(encoding="utf-8").split("\n"), 1):
                if f"]({found[2]}" in line:
                    return f"{shown_path(source)}:{number}: {message}"
        return message


def build(folder: Path = BOOK, site: Path = ROOT / "site", **settings: Any) -> None:
    """Build beside ``site`` and take its place when all went well."""
    new, old = (site.with_name(f"{site.name}.{suffix}") for suffix in ("new", "old"))
    with alone(site.parent / ".cache", "another build of the site"):
        if old.exists() and not site.exists():  # killed between the two renames
            old.rename(site)
        shutil.rmtree(new, ignore_errors=True)
        config = load_config(str(CONFIG), docs_dir=str(folder), site_dir=str(new), **settings)
        try:
            config.plugins.on_startup(command="build", dirty=False)
            mkdocs_build(config)
            shutil.rmtree(old, ignore_errors=True)
            if site.exists():
                site.rename(old)
            new.rename(site)
        finally:
            config.plugins.on_shutdown()
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def tell(folder: Path, level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(BookLines(folder))
    logger = logging.getLogger("mkdocs")
    logger.handlers = [handler]
    logger.setLevel(level)


def main() -> int:
    spare()
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--serve", action="store_true", help="serve at http://127.0.0.1:8000 and follow changes"
    )
    serving = arguments.parse_args().serve
    os.chdir(ROOT)
    tell(BOOK, logging.INFO if serving else logging.WARNING)
    start = time.monotonic()
    try:
        if serving:
            serve(str(CONFIG))
            return 0
        gc.disable()  # nearly all that a build makes stays until its end
        build()
    except BrokenPipeError:
        raise
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        where = "http://127.0.0.1:8000" if taken else shown_path(Path(error.filename or ROOT))
        print(f"{where}: {reason(error)}", file=sys.stderr)
        return 1
    except (MkDocsException, BookError) as error:
        print(error, file=sys.stderr)
        return 1
    pages = len(list(ROOT.glob("site/**/*.html")))
    print(f"{pages} pages in {time.monotonic() - start:.1f} s; open site/index.html in a browser")
    return 0


if __name__ == "__main__":
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    command(main)
