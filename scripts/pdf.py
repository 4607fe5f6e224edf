"""Write site/book.html, the whole book in one file, and site/book.pdf, which an installed browser prints.

The site is taken as it is: build it first.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException

from literate.chapter import ROOT, BookError, shown_path
from literate.files import command, reason, write_atomically
from literate.weave.onefile import one_file

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 1800  # a slow machine needs some minutes
DATE = re.compile(rb"/(?:Creation|Mod)Date \(D:[^)]*\)")  # would make two prints of one book differ,
NODE = re.compile(rb"\bnode\d{8}\b")  # and so would numbers of which the browser now and then leaves one out


def write_pdf(browser: str, page: Path, pdf: Path) -> None:
    """Print ``page`` with the browser; an OSError or SubprocessError if it does not."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        printed = Path(profile) / "book.pdf"
        options = ["--headless", "--disable-gpu", "--no-pdf-header-footer", "--generate-pdf-document-outline"]
        options += [f"--user-data-dir={profile}", f"--print-to-pdf={printed}"]
        options += ["--no-sandbox"] * (os.geteuid() == 0)  # which root cannot have
        subprocess.run(
            [browser, *options, page.resolve().as_uri()], capture_output=True, timeout=SECONDS, check=True
        )
        # What stands for them is as long as they are: a PDF tells where its objects stand.
        data = DATE.sub(lambda date: b" " * len(date[0]), printed.read_bytes())
        nodes = {node: b"node%08d" % at for at, node in enumerate(sorted(set(NODE.findall(data))))}
        new = pdf.with_name(f".{pdf.name}.new")
        new.write_bytes(NODE.sub(lambda node: nodes[node[0]], data))
        new.replace(pdf)


def main(site: Path = ROOT / "site") -> int:
    page, pdf = site / "book.html", site / "book.pdf"
    try:
        config: dict[str, Any] = dict(load_config(str(ROOT / "mkdocs.yml")))
        write_atomically(page, one_file(site, config["nav"], config["site_name"]))
    except (BookError, MkDocsException) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        missing = shown_path(Path(error.filename or site))
        print(f"{missing}: {reason(error)}; make site builds what is needed", file=sys.stderr)
        return 1
    print(f"{shown_path(page)} is the whole book in one file")
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if not browser:
        print(f"No PDF: none of {', '.join(BROWSERS)} is installed. Any browser prints the file.")
        return 0
    try:
        write_pdf(browser, page, pdf)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{shown_path(pdf)}: {browser} did not print it: {error}", file=sys.stderr)
        return 1
    print(f"{shown_path(pdf)} is the same as a PDF, {pdf.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    argparse.ArgumentParser(description=__doc__).parse_args()
    command(main)
