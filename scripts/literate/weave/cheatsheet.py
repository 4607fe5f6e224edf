"""The cheat sheet: forward and backward of each layer and loss, from the labelled equations."""

import re

from literate.chapter import BookError
from literate.prove.unbound import read_list
from literate.weave.pages import Book, displayed, reference, text_of

LIST = "cheatsheet.toml"
CHAIN = re.compile(r"\\begin\{aligned\}(.*)\\end\{aligned\}", re.S)


def cheatsheet(book: Book) -> str:
    lines = []
    for title, entries in listed(book).items():
        lines += [f"## {title}", "", '<div class="sheet" markdown>', ""]
        for name, labels in entries.items():
            chapter, cell = book.pieces[name][0]
            home = f"{chapter.path.name}#code-{cell.name}"
            formulas = [formula(book, label) for label in labels]
            lines += [
                '<section class="entry" markdown>',
                f"### [{name}]({home})",
                *formulas,
                "</section>",
                "",
            ]
        lines += ["</div>", ""]
    return text_of("cheatsheet").format(groups="\n".join(lines))


def formula(book: Book, label: str) -> str:
    tex = displayed(ends(book.equations[label].display.tex))
    number = f'<span markdown="span">{reference(book, label)}</span>'
    return f'<div class="eq" markdown="block">{tex}\n{number}</div>'


def ends(tex: str) -> str:
    """The beginning and the end of a chain of equations; other formulas as they are."""
    chain = CHAIN.fullmatch(tex.strip())
    if not chain:
        return tex
    first, *others = [row.strip() for row in chain[1].split("\\\\")]
    if not others or any(not row.startswith("&=") for row in others):
        return tex
    return f"{first.partition('&=')[0].strip()} = {others[-1][2:].strip()}"


def listed(book: Book) -> dict[str, dict[str, list[str]]]:
    """{group: {class: [labels]}}; a BookError for what the book does not have."""
    file = book.folder / LIST
    groups: dict[str, dict[str, list[str]]] = read_list(file)
    for entries in groups.values():
        for name, labels in entries.items():
            if name not in book.pieces:
                raise BookError(file, f"the module has no {name}")
            entries[name] = [f"eq:{label}" for label in labels]
            for label in entries[name]:
                if label not in book.equations:
                    raise BookError(file, f"{name} names {label}, which no chapter has")
    return groups
