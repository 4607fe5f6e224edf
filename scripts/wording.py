"""Write book/wording.toml and book/stamps.toml as the texts have it; what changes there is to be read."""

from __future__ import annotations

import argparse
import sys

from literate.chapter import BOOK, BookError
from literate.files import write_atomically
from literate.prove.stamps import STAMPS, others, stamped
from literate.prove.wording import WORDING, pages, written


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    try:
        texts = pages()
        write_atomically(BOOK / WORDING, written(texts))
        write_atomically(BOOK / STAMPS, stamped([*texts, *others()]))
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
