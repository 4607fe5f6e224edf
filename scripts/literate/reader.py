"""Read the chapters: every line is of one kind, and what is of none is refused.

The vocabulary is closed. Whatever a chapter contains that is not listed in
CONTRIBUTING.md ("The vocabulary") is refused with its file and line, because a
fence that is silently not run, or run by surprise, is how a book and its code
drift apart.
"""

import ast
import doctest
import functools
import json
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from weakref import WeakValueDictionary

from equations.slicing import free_names, stored_names

from .chapter import (
    BOOK,
    FENCE,
    LABEL,
    MODULE_NAME,
    NUMBER,
    REFERENCE,
    WIDTH,
    BookError,
    Cell,
    Chapter,
    Display,
    Number,
    Reference,
    Row,
    Table,
    compiled,
)
from .files import read_text
from .kept import across_builds
from .prose import NAMED, SEPARATOR, Prose, bare
from .rules import BELOW, UNLIKE, check_book

TAGS = ("core", "hide-input", "notation")
ATTRIBUTES = ("tags", "name", "alt", "raises")
SHOWN = ("pycon", "text", "console", "py", "toml", "yaml", "json", "diff", "tex")

COMPARISONS = ("np.allclose", "np.array_equal", "np.isclose", "math.isclose")
OF_ALL = ("all", "any", "np.all", "np.any")
COUNTS = ("sum", "mean", "count_nonzero")
NEXT_TO_NOTHING = 1e-3  # who asks whether something is smaller asks whether it agrees

LONGEST, DEEPEST = 5_000, 100  # characters of a line; levels of a cell's syntax
DEEP = f"nested more than {DEEPEST} levels deep; break it up"
NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")

HEADER = """\
---
jupyter:
  jupytext:
    text_representation:
      extension: .md
      format_name: markdown
  kernelspec:
    display_name: Python 3
    language: python
    name: python3
---"""
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b\u2028-\u202e\u2060\u2066-\u2069\ud800-\uf8ff\ufeff\ufff9-\uffff]"
)
REGION = re.compile(r"<!--\s*#(end)?(region|markdown|md|raw)")
CONFLICT = re.compile(r"(<{7}|>{7}|\|{7})( |$)")  # of Git
IMPORTS = ast.Import | ast.ImportFrom
NOTATION_HEADER = ["Symbol", "Meaning", "Set", "In code"]
_CELLS = WeakValueDictionary[tuple, Cell]()  # of chapters in use: of a changed one, most cells are the same


def book_files(folder: Path = BOOK) -> list[Path]:
    """index.md, then the numbered chapters in order."""
    numbered = sorted(folder.glob("[0-9][0-9]-*.md"))
    index = folder / "index.md"
    return ([index] if os.path.lexists(index) else []) + numbered


def data_files(chapter: Chapter) -> dict[str, Path]:
    """The files beside the chapter, in the folder "data", that its cells name, by those names."""
    files = {f"data/{path.name}": path for path in sorted(chapter.path.parent.glob("data/*"))}
    return {name: files[name] for name in files if any(name in cell.source for cell in chapter.python)}


def read_book(folder: Path = BOOK) -> list[Chapter]:
    """Read all chapters and check what must hold between them."""
    files = book_files(folder)
    chapters = [read_chapter(path) for path in files]
    if not chapters:
        raise BookError(folder, "no chapters: expected files like 01-slope.md")
    for path in sorted({*folder.rglob("*.*")} - {*files} - {*folder.glob("exercises/*.md")}):
        hidden = any(part[0] in ".#" for part in path.relative_to(folder).parts)
        markdown = not hidden and re.search(r"\.([qr]?md|markdown)$", path.name, re.I)
        if markdown and path.is_file() and path.read_bytes().startswith(b"---"):
            raise BookError(path, UNLIKE if path.parent == folder else BELOW)
    _check(tuple(chapters))
    return chapters


@functools.lru_cache(maxsize=16)
def _check(chapters: tuple[Chapter, ...]) -> None:
    """Each book once: the chapters do not change, see parse_chapter."""
    check_book(chapters)


def read_chapter(path: Path) -> Chapter:
    """Read one chapter; raise BookError at the first thing it must not contain."""
    return parse_chapter(read_text(path), path)


@functools.lru_cache(maxsize=256)
@across_builds(lambda text, path: (text, str(path)))
def parse_chapter(text: str, path: Path) -> Chapter:
    """Read a chapter's text; the same text gives the same object, so nothing may change it."""
    digits = re.match(r"(\d\d)-", path.name)
    chapter = Chapter(path, text, int(digits[1]) if digits else 0)
    Reader(chapter).read()
    return chapter


class Reader:
    """One pass over the lines of a chapter."""

    tags: tuple[str, ...] = TAGS
    attributes: tuple[str, ...] = ATTRIBUTES
    named: tuple[str, ...] = ("core",)  # the tags of cells that have a name

    def __init__(self, chapter: Chapter) -> None:
        self.chapter = chapter
        self.lines = chapter.text.split("\n")
        self.at = 0  # index of the current line
        self.opened = 0  # the line of the fence that is being read
        self.prose = Prose()
        self.notes: dict[str, int] = {}  # footnotes and targets of links, and where they are written
        self.used: dict[str, int] = {}

    def refuse(self, message: str, line: int | None = None) -> BookError:
        return BookError(self.chapter.place(line or self.opened or self.at + 1), message)

    def read(self) -> None:
        self.check_characters()
        self.read_header()
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if fence := FENCE.match(line):
                self.stand_apart("fence")
                self.read_fence(fence)
                if not fence["indent"]:
                    self.prose = Prose()
            elif line.startswith("$$"):
                self.read_display()
                self.prose = Prose()
            elif line.startswith("|"):
                self.read_table()
            else:
                self.read_prose(line)
        if not self.chapter.title:
            raise self.refuse("the chapter has no title: begin it with '# Title'", 1)
        self.check_notes()
        self.check_import_cell()
        self.check_transcripts()

    def stand_apart(self, what: str) -> None:
        """Below a line of text, Markdown sees a part of that."""
        if self.prose.above.strip() and not self.prose.above.startswith(("!!!", "???")):
            raise self.refuse(
                f"leave an empty line above the {what}; else the page makes it a part of the text"
            )

    def check_notes(self) -> None:
        """Each footnote is used, and written once; so is the target of a link like [this][one]."""
        for name, line in self.notes.items():
            if name.startswith("^") and name not in self.used:
                raise self.refuse(f"nothing refers to [{name}]", line)
        for name, line in self.used.items():
            if name not in self.notes:
                raise self.refuse(f"[{name}] is not written anywhere; begin a line with [{name}]:", line)

    def check_characters(self) -> None:
        """Jupytext must see the same lines and the same cells as this reader."""
        if self.lines[0].startswith("\ufeff"):
            raise self.refuse("the file begins with a byte order mark; save it without", 1)
        for number, line in enumerate(self.lines, 1):
            if len(line) > LONGEST:
                raise self.refuse(f"a line of {len(line)} characters, at most {LONGEST}; break it", number)
            if found := CONTROL.search(line):
                what = "half a character" if "\ud800" <= found[0] <= "\udfff" else "a control character"
                what = "no character of any text" if "\udfff" < found[0] != "\ufeff" else what
                raise self.refuse(f"{what}, U+{ord(found[0]):04X}; remove it", number)
            if found := CONFLICT.match(line):
                raise self.refuse(f"'{found[1]}': a conflict of Git is still to be settled", number)
            if found := REGION.match(line):
                raise self.refuse(f"'{found[0]}' opens or closes a Jupytext region; remove it", number)

    # -- header ------------------------------------------------------------

    def read_header(self) -> None:
        header = HEADER.split("\n")
        if self.lines[: len(header)] != header:  # the kernel may be left out
            header = [*header[:6], "---"]
        if self.lines[: len(header)] != header:
            raise self.refuse(f"a chapter begins with\n{HEADER}", 1)
        self.at = len(header)

    # -- fences ------------------------------------------------------------

    def read_fence(self, fence: re.Match[str]) -> None:
        self.opened = self.at + 1
        info = fence["info"].strip(" \t")
        language, _, rest = info.partition(" ")
        if fence["mark"] != "```":
            raise self.refuse(f"'{fence['mark']}' is no fence here; write three backticks")
        close = re.compile(rf"^{fence['indent']}``` *$")
        self.at += 1
        while self.at < len(self.lines) and not close.match(self.lines[self.at]):
            if self.lines[self.at].lstrip().startswith("```"):
                raise self.refuse(
                    f"three backticks inside the fence of line {self.opened}; close that first", self.at + 1
                )
            self.at += 1
        if self.at == len(self.lines):
            raise self.refuse("the fence opened here is never closed")
        source = "\n".join(self.lines[self.opened : self.at]) + "\n"
        self.at += 1
        if language == "python":
            if fence["indent"]:
                raise self.refuse(
                    "an indented python fence is not run; "
                    "move it to the margin, or write 'py' to show it only",
                )
            key = type(self), self.chapter.path, self.opened, rest, source
            _CELLS[key] = cell = _CELLS.get(key) or self.python_cell(source, rest)
        else:
            self.check_shown(language, rest)
            cell = Cell(self.chapter.place(self.opened + 1), source, language)
        self.chapter.cells.append(cell)
        self.opened = 0

    def check_shown(self, language: str, rest: str) -> None:
        if language in SHOWN:
            if rest:
                raise self.refuse(f"a {language} fence takes no attributes, got {rest!r}")
            return
        if language.startswith("{"):
            raise self.refuse(f"'{language}' is MyST; write ```python")
        if language in ("bash", "sh", "shell"):
            raise self.refuse(f"Jupyter would execute a '{language}' fence; write ```console to show it")
        what = f"unknown fence '{language}'" if language else "a fence without a language"
        raise self.refuse(f"{what}; write one of python, {', '.join(SHOWN)}")

    def python_cell(self, source: str, rest: str) -> Cell:
        attributes = self.read_attributes(rest)
        tags = attributes.pop("tags", [])
        aside = tags in (["core", "aside"], ["notation", "aside"])
        if (
            not isinstance(tags, list)
            or len(tags) > 1 + aside
            or any(tag not in self.tags for tag in tags[:1])
        ):
            raise self.refuse(
                f"tags={json.dumps(tags)} is unknown; write one of {', '.join(self.tags)}, "
                'or ["core", "aside"] or ["notation", "aside"] for a cell that the site folds away',
            )
        for key, value in attributes.items():
            if not isinstance(value, str) or not value.strip():
                raise self.refuse(f"{key} must be a non-empty text in quotes")
            if found := CONTROL.search(value) or re.search(r"[\t\n]", value):
                raise self.refuse(f"{key} holds the character U+{ord(found[0]):04X}; remove it")
        if not NAME.fullmatch(attributes.get("name", "x")):
            raise self.refuse(
                "a name is made of letters and digits, with hyphens between them, as in "
                f'name="linear-backward"; got {attributes["name"]!r}',
            )
        if "raises" in attributes:
            self.split_raises(attributes)
        tag = tags[0] if tags else None
        known = (*ATTRIBUTES, "saying")
        more = tuple((key, attributes.pop(key)) for key in list(attributes) if key not in known)
        place = self.chapter.place(self.opened + 1)
        cell = Cell(place, source, "python", tag=tag, aside=aside, more=more, **attributes)
        self.check_python(cell)
        return cell

    def split_raises(self, attributes: dict) -> None:
        """``raises="ValueError: expected .* shape"``: the type, and perhaps a pattern for the message."""
        given = attributes["raises"]
        attributes["raises"], _, pattern = given.partition(": ")
        if not attributes["raises"].isidentifier():
            raise self.refuse(
                "raises= names one error, and perhaps what it says, as in "
                f'raises="ValueError: expected .* shape"; got {given!r}',
            )
        try:
            re.compile(pattern)
        except re.error as error:
            raise self.refuse(f"raises= holds no pattern: {error}") from None
        attributes["saying"] = pattern or None

    def read_attributes(self, text: str) -> dict:
        """``tags=["core"] name="x"`` as Jupytext reads it: key=JSON, spaces between."""
        found: dict = {}
        while text := text.strip():
            key, equals, value = text.partition("=")
            if not equals or key not in self.attributes:
                raise self.refuse(
                    f"unknown attribute {text.split()[0]!r}; write one of "
                    + ", ".join(f"{name}=…" for name in self.attributes),
                )
            if key in found:
                raise self.refuse(f"{key} is given twice")
            try:
                found[key], end = json.JSONDecoder().raw_decode(value)
            except (json.JSONDecodeError, RecursionError):
                raise self.refuse(f"the value of {key} is not JSON: {value[:60]}") from None
            text = value[end:]
            if text and text[0] != " ":  # Jupytext reads none of them
                raise self.refuse(f"a space must follow the value of {key}: {text[:60]!r}")
        return found

    def check_python(self, cell: Cell) -> None:
        lines, first = cell.source.split("\n"), cell.place.line
        for number, line in enumerate(lines, first):
            if line.startswith(">>>"):
                raise self.refuse(
                    "a transcript in a python fence is run without its prompts; write ```pycon", number
                )
        try:
            compiled(cell)
        except SyntaxError as error:
            at = error.lineno or 0
            wrong = lines[at - first].strip() if first <= at < first + len(lines) else ""
            said = f"syntax error: {error.msg}"
            if wrong.startswith(("%", "!", "?")) or wrong.endswith("?"):
                said = f"{wrong[:30]!r} is a notebook's magic, which is not run; leave it out"
            raise self.refuse(said, at) from None
        except (RecursionError, MemoryError):
            longest = max(range(len(lines)), key=lambda index: len(lines[index]))
            raise self.refuse(DEEP, first + longest) from None
        tree = cell.tree
        nodes = list[ast.AST]()  # level by level, like ast.walk
        depth, level = 0, list[ast.AST]([tree])
        while level := [child for node in level for child in ast.iter_child_nodes(node)]:
            nodes += level
            if depth > DEEPEST and (
                found := [node for node in level if isinstance(node, ast.expr | ast.stmt)]
            ):
                raise BookError(cell.at(found[0]), DEEP)
            depth += 1
        if not tree.body:
            raise self.refuse("an empty python cell")
        if cell.tag in self.named and not cell.name:
            raise self.refuse(f'a {cell.tag} cell needs a name, as in name="linear-backward"')
        if cell.tag not in self.named and cell.name:
            raise self.refuse("only core cells have a name")
        if cell.tag == "hide-input" and not cell.alt:
            raise self.refuse('a figure needs alt="…": say what one sees in it')
        if cell.raises and cell.tag:
            raise self.refuse("raises= belongs to a plain demonstration")
        if cell.tag == "core":
            self.check_core(cell, nodes)
        for node in _unjudged(nodes):
            raise BookError(
                cell.at(node),
                "what this says is compared with nothing; write it as a transcript (```pycon, >>> "
                "np.allclose(…), True), or assert it",
            )
        if cell.tag is None and all(map(_is_definition, tree.body)):
            raise self.refuse(
                'a cell that only defines belongs to the module: add tags=["core"] and a name, '
                "or use what it defines in the same cell",
            )

    def check_core(self, cell: Cell, nodes: list[ast.AST]) -> None:
        for number, line in enumerate(cell.source.split("\n"), cell.place.line):
            if len(line) > WIDTH:
                raise self.refuse(f"a core line has {len(line)} characters, at most {WIDTH}", number)
        optional = {node for attempt in _optional(nodes) for node in ast.walk(attempt)}
        for node in nodes:
            if isinstance(node, IMPORTS) and node not in optional:
                raise BookError(
                    cell.at(node),
                    "import in a core cell; write it in the chapter's first cell, "
                    "the tangler takes from there what core cells use",
                )
            if isinstance(node, ast.Global):
                raise BookError(cell.at(node), "'global' in a core cell; keep state in an object")
        for node in cell.tree.body:
            if not (_is_definition(node) or _is_assignment(node)):
                raise BookError(cell.at(node), "a core cell may only define (class, def, NAME = …), not act")

    def check_import_cell(self) -> None:
        """The first python cell imports, the others do not import the module."""
        for position, cell in enumerate(self.chapter.python):
            if position == 0 and (cell.tag or not all(isinstance(node, IMPORTS) for node in cell.tree.body)):
                raise self.refuse(
                    "a chapter's first python cell is its import cell: plain imports, no tags",
                    cell.place.line - 1,
                )
            for node in ast.walk(cell.tree) if MODULE_NAME in cell.source else ():
                if isinstance(node, IMPORTS) and MODULE_NAME in _modules(node):
                    if position > 0:
                        raise BookError(
                            cell.at(node), f"import {MODULE_NAME} only in the chapter's first cell"
                        )
                    if not isinstance(node, ast.ImportFrom) or node.names[0].name == "*":
                        message = f"name what the chapter uses: from {MODULE_NAME} import …"
                        raise BookError(cell.at(node), message)

    def check_transcripts(self) -> None:
        """A reader who types along has the names of the transcripts; the cells of a notebook have not."""
        last: dict[str, int] = {}  # names that a transcript was the last to set, and its line
        for cell in self.chapter.cells:
            if cell.kind == "pycon":
                last.update(dict.fromkeys(_names_of_transcript(cell.source), cell.place.line))
            for node in cell.tree.body if cell.kind == "python" and last else ():
                stored, simple = stored_names(node), isinstance(node, ast.Assign | ast.Expr)
                read = free_names(node) - (frozenset() if simple else stored)
                if wrong := sorted(read & last.keys()):
                    raise BookError(
                        cell.at(node),
                        f"{wrong[0]} was last set in the transcript at line {last[wrong[0]]}, which a "
                        "notebook does not run, so the reader has another one than this cell; set it in "
                        "this cell, or give it another name in the transcript",
                    )
                for name in stored:
                    last.pop(name, None)

    # -- mathematics -------------------------------------------------------

    def read_display(self) -> None:
        opened = self.at + 1
        text = self.lines[self.at][2:]
        body: list[str] = []
        while "$$" not in text:
            body.append(text)
            self.at += 1
            if self.at == len(self.lines) or FENCE.match(self.lines[self.at]):
                raise self.refuse("the display opened here is never closed with '$$'", opened)
            text = self.lines[self.at]
        last, _, rest = text.partition("$$")
        body.append(last)
        self.at += 1
        label, unchecked = self.display_attributes(rest.strip(), self.at)
        if complaint := Prose().complaint(unchecked or ""):
            raise self.refuse(complaint, self.at)
        tex = "\n".join(body).strip("\n")
        if not tex.strip():
            raise self.refuse("an empty display", opened)
        if numbered := re.search(r"\\begin\{(align|gather|equation)\}", tex):
            raise self.refuse(f"{numbered[1]} numbers its lines itself; write aligned or gathered", opened)
        place = self.chapter.place(opened)
        self.chapter.displays.append(Display(place, tex, label, unchecked, self.at))

    def display_attributes(self, text: str, line: int) -> tuple[str | None, str | None]:
        if not text:
            raise self.refuse(
                'a display needs a label or a reason: $$ {#eq:name} or $$ {unchecked="why"}', line
            )
        if not text.startswith("{"):
            raise self.refuse(f"the display ends with '$$', but {text!r} stands behind it", line)
        found = re.fullmatch(rf'\{{(?:#({LABEL}))?\s*(?:unchecked="([^"|]*\w[^"|]*)")?\}}', text)
        if not found or not any(found.groups()):
            raise self.refuse(f'cannot read {text}; write {{#eq:name}} or {{unchecked="why"}}', line)
        return found[1], found[2]

    # -- tables ------------------------------------------------------------

    def read_table(self) -> None:
        opened = self.at + 1
        self.stand_apart("table")
        header = _split_row(self.lines[self.at])
        below = "".join(self.lines[opened : opened + 1])
        if below.startswith("|") and not SEPARATOR.fullmatch(below):
            raise self.refuse("below a table's first line stands one like |---|---|")
        notation = header == NOTATION_HEADER
        if not notation and {"symbol", "in code"} <= {title.strip("*_ ").lower() for title in header}:
            raise self.refuse(f"a notation table has the columns {' | '.join(NOTATION_HEADER)}")
        rows = []
        while self.at < len(self.lines) and self.lines[self.at].startswith("|"):
            if notation and self.at + 1 > opened + 1:
                rows.append(self.notation_row(_split_row(self.lines[self.at])))
            self.read_prose(self.lines[self.at])
        if notation:
            self.chapter.tables.append(Table(self.chapter.place(opened), tuple(rows)))

    def notation_row(self, parts: list[str]) -> Row:
        if len(parts) != len(NOTATION_HEADER):
            raise self.refuse(
                f"a notation row has {len(NOTATION_HEADER)} cells, this one {len(parts)} "
                r"(a | inside a formula splits the cell: write \lvert or \mid)"
            )
        symbol, meaning, set_, code = parts
        if not re.fullmatch(r"\$[^$]+\$", symbol):
            raise self.refuse(f"the symbol must be one formula in dollars, got {symbol!r}")
        if not re.fullmatch(r"`[^`]+`", code):
            raise self.refuse(f"the last cell must be code in backticks, got {code!r}")
        return Row(self.chapter.place(self.at + 1), symbol[1:-1].strip(), meaning, set_, code[1:-1].strip())

    # -- prose -------------------------------------------------------------

    def read_prose(self, line: str) -> None:
        place = self.chapter.place(self.at + 1)
        for found in NUMBER.finditer(line) if "<!--" in line else ():
            cells = len(self.chapter.cells)
            self.chapter.numbers.append(Number(place, found["shown"], found["expression"], cells))
        if "<!--" in line and re.search(r"<!--\s*=", re.sub(NUMBER, "", line)):
            raise self.refuse("a computed number is written directly before its comment: 0.5<!-- = x -->")
        if complaint := self.prose.complaint(re.sub(NUMBER, "0", line) if "<!--" in line else line):
            raise self.refuse(complaint)
        if heading := re.match(r"(#{1,6}) +(?! )(.+)", line):
            title, _, anchor = heading[2].rpartition(" {#")
            text = title.rstrip(" ") if re.fullmatch(r"[\w-]+\}", anchor) else heading[2]
            if len(heading[1]) == 1:
                if self.chapter.title:
                    raise self.refuse(f"a second title; the first is '{self.chapter.title}'")
                self.chapter.title = text
                if mark := re.search(r"[`*\[{<\\]|#$", line[2:]):
                    raise self.refuse(
                        f"a title is plain text, without {mark[0]}: contents and module show it raw"
                    )
            if "$" in text:
                raise self.refuse("no mathematics in headings (contents show it raw): write δ, not $\\delta$")
        for found in NAMED.finditer(bare(line)) if "[" in line else ():
            name = (found["name"] or found["used"]).lower()
            if found["name"] and name in self.notes:
                raise self.refuse(f"[{name}] is already at line {self.notes[name]}; the first would be lost")
            (self.notes if found["name"] else self.used).setdefault(name, self.at + 1)
        if not line.startswith("|") and _split_row(line.lstrip("> \t")) == NOTATION_HEADER:
            raise self.refuse("a notation table begins at the margin, with a |")
        for found in REFERENCE.finditer(re.sub(r"`[^`]*`|<!--.*?-->", "", line)) if "@" in line else ():
            self.chapter.references.append(Reference(place, found[1]))
        self.at += 1


@functools.lru_cache(maxsize=1024)
def _names_of_transcript(source: str) -> set[str]:
    found: set[str] = set()
    try:
        examples = doctest.DocTestParser().get_examples(source)
        for example in examples:
            found.update(*(stored_names(node) for node in ast.parse(example.source).body))
    except (ValueError, SyntaxError):  # told of where it is run
        return found
    return found


def _unjudged(nodes: list[ast.AST]) -> Iterator[ast.expr | ast.stmt]:
    """Where code says whether numbers agree, and nobody looks: ``print(np.allclose(a, b))``.

    Printed in any form, left to stand alone, or in an assertion that cannot fail.
    """
    verdicts = (node for node in nodes if isinstance(node, ast.Assign) and _is_verdict(node.value))
    named = {one.id for node in verdicts for one in node.targets if isinstance(one, ast.Name)}
    for node in nodes:
        match node:
            case ast.Call(ast.Name("print"), arguments):
                of_all = [isinstance(x, ast.Call) and ast.unparse(x.func) in OF_ALL for x in arguments]
                if (arguments and all(of_all)) or any(_is_verdict(one, named) for one in arguments):
                    yield node
            case ast.Expr(ast.Call(function)) if ast.unparse(function) not in COMPARISONS:
                continue  # what it is handed to may look
            case ast.Expr(value) if _is_verdict(value, named):
                yield node
            case ast.Assert(ast.BoolOp(ast.Or(), parts)) if any(isinstance(x, ast.Constant) for x in parts):
                yield node


def _is_verdict(node: ast.AST, named: Collection[str] = ()) -> bool:
    """``np.allclose(a, b)``, ``abs(a - b).max() < 1e-6`` or what is made of them; not how many."""
    match node:
        case ast.Name(name):
            return name in named
        case ast.Call(function) if ast.unparse(function) in COMPARISONS:
            return True
        case ast.Call(function) if ast.unparse(function).rpartition(".")[2] in COUNTS:
            return False
        case ast.Compare(_, [ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()], [ast.Constant(float() as small)]):
            return small <= NEXT_TO_NOTHING
    return any(_is_verdict(child, named) for child in ast.iter_child_nodes(node))


def _optional(nodes: list[ast.AST]) -> list[ast.stmt]:
    """What code tries that goes on without what cannot be imported."""
    tried = [node for node in nodes if isinstance(node, ast.Try)]
    caught = [(node.body, [ast.unparse(one.type) for one in node.handlers if one.type]) for node in tried]
    return [line for body, errors in caught if "ImportError" in errors for line in body]


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, (ast.ClassDef, ast.FunctionDef))


def _is_assignment(node: ast.stmt) -> bool:
    """``NAME = value`` and nothing more: no attribute, no item, no name bound in passing."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    leaves = [leaf for target in targets for leaf in ast.walk(target)]
    plain = (ast.Name, ast.Tuple, ast.Store)
    return all(isinstance(leaf, plain) for leaf in leaves) and not any(
        isinstance(leaf, ast.NamedExpr) for leaf in ast.walk(node.value)
    )


def _modules(node: IMPORTS) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def _split_row(line: str) -> list[str]:
    r"""The cells of a Markdown table row; ``\|`` does not separate."""
    return [part.strip() for part in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
