"""Write book/wording.toml as the texts have it, and print what changed: it may turn a sentence around."""

import argparse
import contextlib
import sys

from literate.chapter import BOOK, BookError
from literate.files import command, write_atomically
from literate.prove.wording import WORDING, changes, key, listed_wording, pages, written


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    try:
        texts, listed = pages(), {}
        with contextlib.suppress(BookError):  # a list that cannot be read is written anew
            listed = listed_wording()
        for page in (one for one in texts if key(one) in listed):
            for change in changes(page, listed[key(page)]):
                print(change)
        write_atomically(BOOK / WORDING, written(texts))
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    command(main)
