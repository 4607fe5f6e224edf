"""The page for readers who come from PyTorch: what stands for what, and what is left out."""

from dataclasses import dataclass, field
from pathlib import Path

from literate.chapter import BOOK, BookError
from literate.prove.unbound import read_list
from literate.weave.pages import Book, text_of
from literate.weave.reference import constructor

LIST = "pytorch.toml"

HEAD = """
## {}

| PyTorch | Here | Shared | Different |
|---|---|---|---|"""


@dataclass(frozen=True)
class Pair:
    """A name of PyTorch and ours; how their options differ."""

    theirs: str
    ours: str
    signature: str = ""  # where PyTorch's own hides its options
    renamed: dict[str, str] = field(default_factory=dict)  # theirs to ours
    own: dict[str, str] = field(default_factory=dict)  # options that only we have, with what they do
    without: dict[str, str] = field(default_factory=dict)  # options that only they have, with the reason
    defaults: dict[str, str] = field(default_factory=dict)  # defaults that differ
    note: str = ""
    free: bool = False  # the options are not comparable


@dataclass(frozen=True)
class Table:
    pairs: list[Pair]
    everywhere: dict[str, str]
    left_out: dict[str, str]


def table(folder: Path = BOOK) -> Table:
    data = read_list(folder / LIST)
    pairs = [Pair(**pair) for pair in data.get("pair", [])]
    return Table(pairs, data.get("everywhere", {}), data.get("left_out", {}))


def pytorch(book: Book) -> str:
    known, places = table(book.folder), dict[str, list[Pair]]()
    for pair in known.pairs:
        places.setdefault(pair.theirs.rpartition(".")[0], []).append(pair)
    shared = [
        line for at, pairs in places.items() for line in [HEAD.format(at), *(row(book, one) for one in pairs)]
    ]
    everywhere = [f"| `{name}` | {why} |" for name, why in known.everywhere.items()]
    left_out = [f"| {codes(names.split('|'))} | {why} |" for names, why in known.left_out.items()]
    tables = {"shared": shared, "everywhere": everywhere, "left_out": left_out}
    return text_of("pytorch").format(**{name: "\n".join(lines) for name, lines in tables.items()})


def row(book: Book, pair: Pair) -> str:
    if pair.ours not in book.pieces:
        raise BookError(book.folder / LIST, f"{pair.ours} is not a name of the module")
    chapter, cell = book.pieces[pair.ours][0]
    theirs, here = pair.theirs.rpartition(".")[2], f"[`{pair.ours}`]({chapter.path.name}#code-{cell.name})"
    apart = {*pair.renamed.values(), *pair.own, *pair.defaults}
    shared = [] if pair.free else [o for o in options(book, pair.ours) if o not in apart]
    return f"| `{theirs}` | {here} | {codes(shared)} | {differences(pair)} |"


def codes(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def differences(pair: Pair) -> str:
    parts = [pair.note] if pair.note else []
    parts += [f"`{theirs}` is `{ours}`" for theirs, ours in pair.renamed.items()]
    for options in (pair.defaults, pair.own, pair.without):
        parts += [f"`{name}`: {what}" for name, what in options.items()]
    return "; ".join(parts).replace("|", r"\|")


def options(book: Book, name: str) -> list[str]:
    if not (called := constructor(book, name)):
        return []
    arguments = [*called.args.posonlyargs, *called.args.args, *called.args.kwonlyargs]
    return [argument.arg for argument in arguments if argument.arg != "self"]
