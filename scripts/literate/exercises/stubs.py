"""The reader's file: the tasks as comments, and a stub for each, made from the core cells."""

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from equations.slicing import Definition, definitions
from literate.chapter import NUMBER, REFERENCE, WIDTH, BookError, Equation, parameters

from .sheets import FOLDER, FORMS, Exercise, Sheet

STARS = {1: "★☆☆", 2: "★★☆", 3: "★★★"}
HEADER = '''\
"""Chapter {number}, {title}: exercises.

This file is yours. Nothing writes over it. Replace each "raise
NotImplementedError" and each "None", and have it marked, once or whenever you
save it:

    .venv/bin/pytest {folder}/{file}
    .venv/bin/python scripts/exercises.py --watch {key}

Names and stubs must stay; add whatever else you need. backprop_core is the
book's module, in which what you are asked to write is missing.
"""

import numpy as np
'''


@dataclass(frozen=True)
class Core:
    """The module's text, in which the stubs' signatures and docstrings are found, and the equations."""

    text: str
    equations: Mapping[str, Equation]  # by their labels

    def number(self, label: str) -> str:
        return f"({self.equations[label].number})" if label in self.equations else ""

    def lines(self, label: str) -> list[str]:
        """The LaTeX of an equation, a line for each of its lines."""
        if label not in self.equations:
            return []
        text = self.equations[label].display.tex
        if "aligned" in text:
            text = re.sub(r"\\(begin|end)\{aligned\}", "", text).replace("&", "")
        return [" ".join(line.rstrip("\\ ").split()) for line in text.split("\n") if line.strip()]

    @property
    def named(self) -> dict[str, Definition]:
        """Functions, classes and methods: ``Linear.backward``."""
        return _named(self.text)

    def find(self, name: str, exercise: Exercise) -> ast.FunctionDef:
        node = self.named.get(name)
        if not isinstance(node, ast.FunctionDef):
            raise BookError(exercise.stub.place, f"{name} is no function or method of the module")
        return node

    def bases(self, owner: str) -> Iterator[ast.ClassDef]:
        """The class and those it derives from, nearest first."""
        node = self.named.get(owner)
        if isinstance(node, ast.ClassDef):
            yield node
            for base in node.bases:
                yield from self.bases(ast.unparse(base))

    def docstring(self, name: str, node: ast.FunctionDef) -> str:
        """Its own, or that of the method it overrides."""
        owner, dot, method = name.partition(".")
        found = [node, *(self.named.get(f"{base.name}.{method}") for base in self.bases(owner) if dot)]
        return next((text for one in found if one and (text := ast.get_docstring(one))), "")

    def kept(self, owner: str) -> list[str]:
        """What the class, or else the nearest it derives from, keeps for backward."""
        for node in self.bases(owner):
            lines = [line for part in ast.walk(node) if (line := _keeps(part))]
            if lines:
                return lines
        return []


@lru_cache(maxsize=2)
def _named(text: str) -> dict[str, Definition]:
    return dict(definitions(ast.parse(text).body))


def _keeps(node: ast.AST) -> str:
    """What becomes of ``_cache``, by hand or by ``_leave``."""
    match node:
        case ast.Assign(targets=[ast.Attribute(attr="_cache")]):
            return ast.unparse(node)
        case ast.Call(func=ast.Attribute(attr="_leave"), args=[_, kept]):
            return f"self._cache = {ast.unparse(kept)}"
    return ""


def stub(exercise: Exercise, core: Core) -> str:
    """The code that the reader completes."""
    labels = [label for label in exercise.labels if label in core.equations]
    above = [f"# {line}" for label in labels for line in _equation(label, core)]
    parts = [exercise.stub.source.strip()]
    if not exercise.blanks:
        return "\n".join([*above, *parts]) + "\n"
    if above and len(exercise.blanks) > 1:  # once for all of them
        parts.append("\n".join(above))
        above = []
    return "\n\n\n".join([*parts, *_blanks(exercise, core, above)]) + "\n"


def _blanks(exercise: Exercise, core: Core, above: list[str]) -> Iterator[str]:
    """One piece for each class, one for each function."""
    groups: dict[str, list[str]] = {}
    for name in exercise.blanks:
        groups.setdefault(name.partition(".")[0], []).append(name)
    for owner, names in groups.items():
        if "." not in names[0]:
            yield _blank(names[0], exercise, core, above)
            continue
        members = [_blank(name, exercise, core, above) for name in names]
        if kept := [line for name in names if name.endswith(".backward") for line in core.kept(owner)]:
            note = ["# forward keeps:", *(f"#     {line}" for line in dict.fromkeys(kept))]
            members.insert(0, "\n".join(note))
        body = textwrap.indent("\n\n".join(members), "    ")
        yield f"class {owner}({owner}):  # goes on with the book's class\n{body}"


def _blank(name: str, exercise: Exercise, core: Core, above: list[str]) -> str:
    node = core.find(name, exercise)
    head = f"def {node.name}({parameters(node)}):"
    body = []
    if text := core.docstring(name, node):
        text = re.sub(r"\n*^>>> .*", "", text, flags=re.M | re.S).strip()
        body += f'"""{text}{chr(10) if chr(10) in text else ""}"""'.split("\n")
    text = "\n".join([*body, *above, "raise NotImplementedError"])
    return f"{head}\n{textwrap.indent(text, '    ')}"


def _equation(label: str, core: Core) -> list[str]:
    first, *rest = core.lines(label)
    number = f"{core.number(label)} "
    return [number + first, *(" " * len(number) + line for line in rest)]


# -- the file -----------------------------------------------------------------------


def task(exercise: Exercise, sheet: Sheet, core: Core) -> str:
    """The task as the reader's file and the messages have it."""
    fence = exercise.stub.place.line - 1  # the line that opens the stub
    text = "\n".join(sheet.text.text.split("\n")[exercise.place.line : fence - 1])
    text = re.sub(r"^\|.*\n?", "", text, flags=re.M)  # tables of symbols
    for cell in sheet.text.cells:
        if cell.tag == "notation":
            text = re.sub(rf"```python [^\n]*\n{re.escape(cell.source)}```", "", text)
    text = NUMBER.sub(lambda found: found["shown"], text)
    text = REFERENCE.sub(lambda found: core.number(found[1]) or found[0], text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def reader_file(sheet: Sheet, core: Core) -> tuple[str, dict[str, int]]:
    """The file as the reader first gets it, and the line at which each exercise begins."""
    text = HEADER.format(
        number=sheet.chapter.number, title=sheet.chapter.title, folder=FOLDER, file=sheet.file, key=sheet.key
    )
    lines = {}
    for exercise in sheet.exercises:
        text += "\n\n"
        lines[exercise.name] = text.count("\n") + 1
        text += section(exercise, sheet, core)
    return text, lines


def section(exercise: Exercise, sheet: Sheet, core: Core) -> str:
    """One exercise of the file: its heading, its task, its stub."""
    number, form = sheet.number(exercise), FORMS[exercise.form]
    lines = [f"# ---- {number} · {exercise.title} · {form.lower()} {STARS[exercise.level]} ----", "#"]
    for paragraph in task(exercise, sheet, core).split("\n\n"):
        if paragraph.startswith("```"):
            lines += [f"# {line}".rstrip() for line in paragraph.split("\n")[1:-1]]
        else:
            lines += [f"# {line}" for line in textwrap.wrap(paragraph, WIDTH - 2, break_long_words=False)]
        lines.append("#")
    return "\n".join(lines[:-1]) + "\n\n" + stub(exercise, core)
