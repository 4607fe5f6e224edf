"""The reference of the module: each public name with its signature and docstring."""

import ast
import html
import inspect
import re

from equations.slicing import Definition
from literate.chapter import CODE_REFERENCE, LABEL, MODULE_NAME, parameters
from literate.weave.pages import Book, reference, text_of


def module_reference(book: Book) -> str:
    lines, seen = [], ""
    for name, pieces in book.pieces.items():
        chapter, cell = pieces[0]
        if name.startswith("_") or not (node := book.core.named.get(name)):
            continue
        if chapter.title != seen:
            seen = chapter.title
            lines += [f"## {chapter.number}. [{chapter.title}]({chapter.path.name})", ""]
        lines += [f'### <code id="{name}">{name}</code>', ""]
        lines += entry(book, node, constructor(book, name))
        lines += [f"[Where it is defined]({chapter.path.name}#code-{cell.name})", "{.thread}", ""]
        for method in node.body if isinstance(node, ast.ClassDef) else ():  # of forward, the class says it
            if isinstance(method, ast.FunctionDef) and method.name[0] != "_" and ast.get_docstring(method):
                lines += entry(book, method, method)
    return text_of("module").format(module=MODULE_NAME, entries="\n".join(lines))


def constructor(book: Book, name: str) -> ast.FunctionDef | None:
    """The function itself, or the constructor that a class has or inherits."""
    homes = [name, *(f"{base.name}.__init__" for base in book.core.bases(name))]
    found = (book.core.named.get(home) for home in homes)
    return next((node for node in found if isinstance(node, ast.FunctionDef)), None)


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
