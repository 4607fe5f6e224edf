"""The reference of the module: each public name with its signature and docstring."""

from __future__ import annotations

import ast
import html
import inspect
import re
from collections.abc import Iterator

from literate.chapter import CODE_REFERENCE, LABEL, MODULE_NAME, parameters
from literate.weave.pages import Book, reference

HEAD = f"""\
# The module

Every public name of `{MODULE_NAME}`, in the order of the book: how it is called, what shapes it takes, what
it raises, and the equation or paper that it comes from. The text is that of the docstrings.
"""
Definition = ast.FunctionDef | ast.ClassDef


def module_reference(book: Book) -> str:
    lines, seen = [HEAD], ""
    for name, pieces in book.pieces.items():
        chapter, cell = pieces[0]
        if name.startswith("_") or not (found := definitions(book, name)):
            continue
        if chapter.title != seen:
            seen = chapter.title
            lines += [f"## {chapter.number}. [{chapter.title}]({chapter.path.name})", ""]
        lines += [f'### <code id="{name}">{name}</code>', ""]
        lines += entry(book, found[0], constructor(book, name))
        lines += [f"[Where it is defined]({chapter.path.name}#code-{cell.name})", "{.thread}", ""]
        for method in methods(found):
            lines += entry(book, method, method)
    return "\n".join(lines) + "\n"


def definitions(book: Book, name: str) -> list[Definition]:
    """The pieces of a class, or a function."""
    return [
        node
        for _, cell in book.pieces[name]
        for node in cell.tree.body
        if isinstance(node, Definition) and node.name == name
    ]


def methods(pieces: list[Definition]) -> Iterator[ast.FunctionDef]:
    """Those with a docstring of their own; forward and backward say it in that of the class."""
    for piece in pieces:
        for node in piece.body if isinstance(piece, ast.ClassDef) else ():
            if isinstance(node, ast.FunctionDef) and node.name[0] != "_" and ast.get_docstring(node):
                yield node


def constructor(book: Book, name: str) -> ast.FunctionDef | None:
    """The function itself, or the constructor that a class has or inherits."""
    pieces = definitions(book, name)
    for piece in pieces:
        if isinstance(piece, ast.FunctionDef):
            return piece
        for node in piece.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return node
    bases = [base.id for base in getattr(pieces[0], "bases", []) if isinstance(base, ast.Name)]
    return next((constructor(book, base) for base in bases if base in book.pieces), None)


def entry(book: Book, node: Definition, called: ast.FunctionDef | None) -> list[str]:
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    lines = ["```{.python .signature}", signature(node.name, called), "```", ""]
    for block in re.split(r"\n\s*\n", text):
        if block.startswith(">>>"):
            lines += ["```{.pycon}", block, "```", ""]
        elif block:
            lines += [paragraph(book, block), ""]
    return lines


def signature(name: str, called: ast.FunctionDef | None) -> str:
    """As it is called: without self, types and what it returns."""
    if called is None:
        return f"{name}()"
    parts = re.sub(r"^self(, )?", "", parameters(called))
    return f"{name}({parts})" if len(name + parts) < 78 else f"{name}(\n    {parts}\n)"


def paragraph(book: Book, text: str) -> str:
    """Labels become numbers that link, ``code`` becomes `code`; the rest is text."""
    parts = re.split(r"(``.*?``)", text, flags=re.S)
    for at, part in enumerate(parts):
        if part.startswith("``"):
            parts[at] = f"`{part[2:-2]}`"
        else:
            part = re.sub(rf"\(({LABEL})\)", r"\1", html.escape(part, quote=False))
            part = re.sub(r"([*_\[\]|])", r"\\\1", part)
            parts[at] = CODE_REFERENCE.sub(lambda found: reference(book, found[1]), part)
    return "".join(parts)
