"""The numbers in the prose, recomputed.

python scripts/prose_numbers.py --check     say which of them are out of date
python scripts/prose_numbers.py --update    write what their expressions give

Both take chapters, as in ``--update book/04-linear.md``; without, the whole book.
"""

import argparse
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

from literate.chapter import BookError
from literate.files import command, sweep, write_atomically
from literate.prove.numbers import recomputed
from literate.prove.session import Failure
from literate.reader import book_files


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The computed numbers in the prose.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="say which are out of date")
    what.add_argument("--update", action="store_true", help="rewrite them")
    parser.add_argument("chapters", nargs="*", type=Path, help="default: the whole book")
    options = parser.parse_args(arguments)
    complaints = 0
    for path in options.chapters or book_files():
        try:
            sweep(path.parent)
            with threadpool_limits(1):  # the products of the book are small
                text, changes = recomputed(path)
            if options.update and changes:
                write_atomically(path, text)
        except (BookError, Failure) as error:
            print(error, file=sys.stderr)
            complaints += 1
            continue
        print(*changes, sep="\n", end="\n" if changes else "")
        if not options.update:
            complaints += len(changes)
    return 1 if complaints else 0


if __name__ == "__main__":
    command(main)
