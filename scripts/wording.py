"""Write book/wording.toml as the texts have it; what changes there may turn a sentence around."""

from __future__ import annotations

import argparse
import sys

from literate.chapter import BOOK, BookError
from literate.files import write_atomically
from literate.prove.wording import WORDING, pages, written


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    try:
        write_atomically(BOOK / WORDING, written(pages()))
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
