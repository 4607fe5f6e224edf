"""Tangle the core cells of the chapters into the module backprop_core.py.

python scripts/tangle.py               write the module; refuses to overwrite one that was edited by hand
python scripts/tangle.py --check       exit 1 when the module is not what the book says
python scripts/tangle.py --where 1001   the line of the book that line 1001 of the module comes from
python scripts/tangle.py --upto 4      print the module of the chapters up to and including 4
python scripts/tangle.py --untangle    carry edits made in the module back into the chapters
"""

import argparse
import contextlib
import gc
import sys
from pathlib import Path

from literate.chapter import BOOK, MODULE_NAME, ROOT, BookError, Chapter, shown_path
from literate.files import command
from literate.reader import read_book
from literate.tangle.file import Refused, carry_back, check, undisturbed, where, write
from literate.tangle.module import prefix, tangle

MODULE = ROOT / f"{MODULE_NAME}.py"


def main(arguments: list[str] | None = None, book: Path = BOOK, path: Path = MODULE) -> int:
    parser = argparse.ArgumentParser(description=f"Tangle the book into {MODULE_NAME}.py.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="exit 1 when the module is not what the book says")
    what.add_argument(
        "--where", type=int, metavar="LINE", help="the line of the book for a line of the module"
    )
    what.add_argument(
        "--upto", type=int, metavar="N", help="print the module of the chapters up to and including number N"
    )
    what.add_argument(
        "--untangle", action="store_true", help="carry edits of the module back into the chapters"
    )
    options = parser.parse_args(arguments)
    writes = not (options.check or options.where is not None or options.upto is not None)
    try:
        with undisturbed(path, book) if writes else contextlib.nullcontext():
            run(options, read_book(book), path)
    except (BookError, Refused) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace, chapters: list[Chapter], path: Path) -> None:
    if options.check:
        check(path, tangle(chapters))
    elif options.where is not None:
        print(where(path, tangle(chapters), options.where))
    elif options.upto is not None:
        numbers = [chapter.number for chapter in chapters if chapter.number]
        if options.upto not in numbers:
            raise Refused(f"--upto {options.upto}: the last chapter is {max(numbers, default=0)}")
        print(prefix(chapters, options.upto + 1).text, end="")
    elif options.untangle:
        for changed in carry_back(path, chapters):
            print(f"changed {shown_path(changed)}")
    else:
        write(path, tangle(chapters))


if __name__ == "__main__":
    gc.disable()  # nearly all that it makes stays until its end
    command(main)
