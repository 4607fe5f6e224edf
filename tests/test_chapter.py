"""The reader of chapters: what it finds, what it refuses, and that Jupytext finds the same."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from literate.chapter import BOOK, BookError, Chapter, Number, Row
from literate.reader import HEADER, book_files, parse_chapter, read_book, read_chapter
from literate.rules import check_book
from literate.tangle.module import tangle
from tests.books import chapter, chapter_text, core, fence

SAMPLE = r'''
Prose with `code`, @eq:half, and 0.50<!-- = f"{x:.2f}" -->, and `@eq:none` in ticks.

| Symbol | Meaning | Set | In code |
|---|---|---|---|
| $x$ | a \| b | $\mathbb{R}$ | `eq:half` |
| $y$ | half | $(0,1)$ | `half(x)` |

| Another | table |
|---|---|
| $x$ | y |

$$
y = \frac{x}{2}
$$ {#eq:half}

$$ y < x $$ {unchecked="an inequality"}

$$ y \le x
$$ {#eq:less unchecked="an inequality"}

## A section

```python tags=["core"] name="half"
def half(x):
    """Half of x, eq:half and eq:less.

    >>> half(1)
    0.5
    """
    return x / 2
```

```python
x = half(1)

x
```

```python tags=["hide-input"] alt="A \"line\" = 1"
np.zeros(3)
```

```python tags=["notation"]
y = half(x)
```

```python raises="ValueError: ."
raise ValueError
```

```pycon
>>> half(1)
0.5
```

```console
$ python
```

   ```text
   indented
   ```
'''


@pytest.fixture
def sample() -> Chapter:
    return chapter(SAMPLE)


def at(text: str, body: str = SAMPLE) -> int:
    """The line of the one line that holds this."""
    found = [number for number, line in enumerate(chapter_text(body).split("\n"), 1) if text in line]
    assert len(found) == 1
    return found[0]


# -- what it finds --------------------------------------------------------------------


def test_cells(sample: Chapter) -> None:
    assert [(cell.kind, cell.tag, cell.name, cell.place.line) for cell in sample.cells] == [
        ("python", None, None, at("import numpy")),
        ("python", "core", "half", at("def half")),
        ("python", None, None, at("x = half(1)")),
        ("python", "hide-input", None, at("np.zeros")),
        ("python", "notation", None, at("y = half(x)")),
        ("python", None, None, at("raise ValueError")),
        ("pycon", None, None, at("```pycon") + 1),
        ("console", None, None, at("$ python")),
        ("text", None, None, at("   indented")),
    ]
    assert sample.cells[2].source == "x = half(1)\n\nx\n"
    assert (sample.cells[3].alt, sample.cells[5].raises) == ('A "line" = 1', "ValueError")
    assert (sample.title, sample.number) == ("Sample 1", 1)


def test_displays(sample: Chapter) -> None:
    assert [(d.tex, d.label, d.unchecked, d.place.line, d.end) for d in sample.displays] == [
        (r"y = \frac{x}{2}", "eq:half", None, at(r"\frac") - 1, at(r"\frac") + 1),
        (" y < x ", None, "an inequality", at("y < x"), at("y < x")),
        (r" y \le x", "eq:less", "an inequality", at(r"\le x"), at(r"\le x") + 1),
    ]


def test_table(sample: Chapter) -> None:
    (table,) = sample.tables
    assert table.place.line == at("| Symbol")
    place = sample.place(at("| $y$"))
    assert table.rows[1] == Row(place, "y", "half", "$(0,1)$", "half(x)")


def test_references_and_numbers(sample: Chapter) -> None:
    line = at("@eq:half")
    assert [(reference.label, reference.place.line) for reference in sample.references] == [("eq:half", line)]
    assert sample.numbers == [Number(sample.place(line), "0.50", 'f"{x:.2f}"', 1)]
    check_book([sample])


# -- what it refuses ------------------------------------------------------------------

CORE = core("def f(): ...", "f")
TAGS = (
    'core, hide-input, notation, or ["core", "aside"] or ["notation", "aside"] '
    "for a cell that the site folds away"
)
SHOWN = "python, pycon, text, console, py, toml, yaml, json, diff, tex"
DISPLAY = "$$ x $$ "
HOLDS = "holds the character U+{}; remove it"
DEEP = "nested more than 100 levels deep; break it up"
ACT = "a core cell may only define (class, def, NAME = …), not act"
IMPORT = "import in a core cell; write it in the chapter's first cell, "
IMPORT += "the tangler takes from there what core cells use"

RAISES = (
    'raises= names one error, and perhaps what it says, as in raises="ValueError: expected .* shape"; got'
)
COMPARED = (
    "what this says is compared with nothing; write it as a transcript "
    "(```pycon, >>> np.allclose(…), True), or assert it"
)
TRANSCRIBED = (
    "{} was last set in the transcript at line 16, which a notebook does not run, so the reader has "
    "another one than this cell; set it in this cell, or give it another name in the transcript"
)
NAMED = 'a name is made of letters and digits, with hyphens between them, as in name="linear-backward"; got '
HIDDEN = "a comment ends with --> on the line where it begins; what follows would run, hidden"
LOST = r"a | inside a formula splits the cell of a table: write \lvert, \rvert or \mid"
LOOSE = r"the $ of '{}' opens or closes no formula of its line; for a dollar, write \$"
TABLE = "| a | b |\n|---|---|\n"
QUOTED = "a fence behind {} is shown and never run; begin the line with the fence"
HEADING = r"a heading is # to ######, a space and a title, at the margin; for a # in the text write \#"
UNDERLINED = "{} below a line makes a heading of that; write ## above it, or leave a line empty"
INDENTED = "four spaces make code that is shown and never run; begin the line at the margin, or fence it"
APART = "leave an empty line above the {}; else the page makes it a part of the text"
OPEN_CODE = "a ` of this line opens or closes no code of it; begin and end code on one line"
FOREIGN = "{} is of another format, and would be shown as it is; {}"
MAGIC = "a notebook's magic is not run, so leave it out"
CONFLICT = "'{}': a conflict of Git is still to be settled"
MAGICAL = "{} is a notebook's magic, which is not run; leave it out"
NOTE = "write !!! note, and below it its text, indented by four"
HTML = "'{}' is HTML, in which no Markdown is read; ??? folds, !!! notes, ![] shows a picture"
UNCHECKED = "a display that is not at the margin is shown and never checked; begin the line with $$"


def vanishing(tag: str) -> str:
    return f"'{tag}' would vanish from the page as a tag; write &lt; or put it in backticks"


LINKED = "write [text](file.md)"
NESTED = "a list begins at the margin, or four spaces further in than the list that it is part of"
ELSEWHERE = "'{}' leads to what no reader of the page has, or says nothing to those who hear it"

REFUSED = {  # the body, a text that stands in the line that is named, the message
    # -- characters and lines
    "half a character": ("a\ud800b", "a\ud800b", "half a character, U+D800; remove it"),
    "half a character in a core cell": (
        core("x = 1\ny = '\udfff'", "x"),
        "y = ",
        "half a character, U+DFFF; remove it",
    ),
    "an escape": ("a\x1b[31m", "[31m", "a control character, U+001B; remove it"),
    "a C1 control": ("a\x9bb", "a\x9bb", "a control character, U+009B; remove it"),
    "text from right to left": ("a\u202eb", "a\u202eb", "a control character, U+202E; remove it"),
    "a long line": ("\na" * 3 + "b" * 5000, "abbb", "a line of 5001 characters, at most 5000; break it"),
    "a long line in a fence": (
        "```text\n" + "b" * 9999 + "\n```",
        "bbb",
        "a line of 9999 characters, at most 5000; break it",
    ),
    # -- what is hidden, or shown and not run
    "a cell in a comment": (f"<!--\n{core('x = 1', 'x')}-->", "<!--", HIDDEN),
    "a comment that ends later": ("a <!-- b\nc -->", "a <!--", HIDDEN),
    "a comment in a quote": (f"> <!--\n\n{fence('x = 1')}", "> <!--", HIDDEN),
    "a comment below another": (f"<!-- a --> <!--\n{fence('x = 1')}-->", "<!-- a", HIDDEN),
    "a cell in a quote": ("> ```python\n> 1\n> ```", "> ```python", QUOTED.format("'> '")),
    "a cell in a quote without space": (">```python\n>1\n>```", ">```python", QUOTED.format("'>'")),
    "a cell in two quotes": (">> ~~~python\n>> 1", "~~~", QUOTED.format("'>> '")),
    "a cell in a list": ("- ```python\n  1\n  ```", "- ```", QUOTED.format("'- '")),
    "a cell in a numbered list": ("12. ```python\n    1", "12.", QUOTED.format("'12. '")),
    "a cell in a quoted list": ("> * ```python\n> 1", "> *", QUOTED.format("'> * '")),
    "a cell in a footnote": ("[^1]: ```python\n    1", "[^1]", QUOTED.format("'[^1]: '")),
    "a cell in a definition": ("x\n: ```python\n  1", ": ```", QUOTED.format("': '")),
    "a cell behind a tab": ("\t```python\n\t1", "\t```", QUOTED.format(r"'\t'")),
    "a display in a quote": ("> $$ x $$ {#eq:x}", "> $$", UNCHECKED),
    "a display in a list": ("  - $$\n    x\n    $$", "- $$", UNCHECKED),
    "an indented display": ("  $$ x $$", "  $$", UNCHECKED),
    "a display in a sentence": ("Here $$ x $$.", "Here", UNCHECKED),
    "a display in brackets": ("\\[ x \\]", "[ x", UNCHECKED),
    "an environment": ("> \\begin{align}", "begin", UNCHECKED),
    "a notation table in a quote": (
        "> | Symbol | Meaning | Set | In code |",
        "> |",
        "a notation table begins at the margin, with a |",
    ),
    "a notation table without bars at its ends": (
        "Symbol | Meaning | Set | In code\n---|---|---|---",
        "Symbol",
        "a notation table begins at the margin, with a |",
    ),
    "a formula that does not end": (
        "the factor $\\frac1N: a share",
        "factor",
        LOOSE.format(r"$\frac1N:"),
    ),
    "a formula that does not begin": ("the factor x$ is", "factor", LOOSE.format("x$")),
    "a formula of a number that does not begin": ("the rate 0.1$ is", "rate", LOOSE.format("0.1$")),
    "a formula in bars that does not end": ("for $|x| above 1", "for", LOOSE.format("$|x|")),
    # -- tables
    "a bar in a formula of a table": (f"{TABLE}| $|x|$ | lost |", "lost", LOST),
    "a bar in a formula of a header": ("| $|x|$ | b |\n|---|---|\n| 1 | 2 |", "|---", LOST),
    "LaTeX outside of a formula": (
        "a rate \\alpha, `\\beta`, C:\\new\\table, $\\gamma$",
        "a rate",
        r"'\alpha' is shown as it is; write it between dollars, or in backticks",
    ),
    "one bar, where a cell would be empty": (
        "| a | b | c |\n|---|---|---|\n| $p(x|y)$ | lost |",
        "lost",
        LOST,
    ),
    "a bar in a quoted table": ("> | a | b |\n> |---|---|\n> | $|x|$ | lost |", "lost", LOST),
    "a bar in an indented table": ("!!! note\n\n    a | b\n    --|--\n    $|x|$ | lost", "lost", LOST),
    "a bar in a table without bars at its ends": ("a | b\n--|:-:\n1 | $|x|$", "$|x", LOST),
    "a cell too many": (
        f"{TABLE}| 1 | 2 | 3 |",
        "| 3 |",
        "this row has 3 cells, its table 2; the last would be lost",
    ),
    # -- tags
    "less and greater": ("if a<b and c>d then", "a<b", vanishing("<b and c>")),
    "a placeholder": ("values <eps> are small", "<eps>", vanishing("<eps>")),
    "a type": ("a `dict`, or List<int>", "List", vanishing("<int>")),
    "less, and nothing greater": ("it is a<b", "a<b", vanishing("<b")),
    "an end": ("a</b", "</b", vanishing("</b")),
    "a placeholder in a heading": ("## The <name> here", "## The", vanishing("<name>")),
    "a placeholder in a table": (f"{TABLE}| <x> | 2 |", "<x>", vanishing("<x>")),
    "a placeholder between dollars": ("It is $5 for <you>, $6 for me", "<you>", vanishing("<you>")),
    "a script": ("<script>1</script>", "<script>", vanishing("<script>")),
    "a handler without quotes": ("<b onclick=x>y</b>", "<b", vanishing("<b onclick=x>")),
    "a declaration": ("a <!x> b", "<!x>", vanishing("<!x>")),
    "an instruction": ("<?php 1 ?>", "<?php", vanishing("<?php 1 ?>")),
    "a placeholder in a reason": ('$$ x $$ {unchecked="for <eps> only"}', "unchecked", vanishing("<eps>")),
    "a bar in a reason": (
        '$$ x $$ {unchecked="a|b"}',
        "unchecked",
        'cannot read {unchecked="a|b"}; write {#eq:name} or {unchecked="why"}',
    ),
    # -- what Markdown takes for something else
    "a heading without a space": ("##Title", "##Title", HEADING),
    "a number with a #": ("text\n#1 in the list", "#1", HEADING),
    "a heading in a list": ("- # Title", "- #", HEADING),
    "an indented heading": ("  ## Title", "## Title", HEADING),
    "an empty heading": ("##\n\ntext", "##", HEADING),
    "a line of = below a title": ("Two\n=====", "====", UNDERLINED.format("===")),
    "a line of - below a title": ("Two\n-----", "----", UNDERLINED.format("---")),
    "a second front matter": ("---\nkernel: x\n---", "---", UNDERLINED.format("---")),
    "indented code": ("Thus:\n\n    x = 1\n", "    x = 1", INDENTED),
    "code behind a tab": ("Thus:\n\n\tx = 1\n", "\tx = 1", INDENTED),
    "indented code below a heading": ("## Two\n    x = 1\n", "    x = 1", INDENTED),
    "indented code behind a list": ("- a\n\nThus:\n\n    x = 1\n", "    x = 1", INDENTED),
    "indented code behind a cell": ("- a\n\n" + fence("print(1)") + "\n    x = 1\n", "    x = 1", INDENTED),
    "a fence right below text": ("- a\n```text\nx\n```", "```text", APART.format("fence")),
    "a table right below text": (f"text\n{TABLE}", "| a", APART.format("table")),
    "a table without its line": (
        "| a | b |\n| 1 | 2 |",
        "| a",
        "below a table's first line stands one like |---|---|",
    ),
    "a notation table without its line": (
        "| Symbol | Meaning | Set | In code |\n| $x$ | m | s | `x` |",
        "| Symbol",
        "below a table's first line stands one like |---|---|",
    ),
    "a line of three below two": (
        "| a | b |\n|---|---|---|\n",
        "|---",
        "this line has 3 cells, the one above 2; so this is no table",
    ),
    "columns in small letters": (
        "| symbol | meaning | **Set** | In Code |\n|---|---|---|---|",
        "| symbol",
        "a notation table has the columns Symbol | Meaning | Set | In code",
    ),
    "an admonition that does not begin": (
        '!!! note "Title\n    text',
        "!!! note",
        'an admonition begins like !!! note "Title" or ??? note "Title"; got !!! note "Title',
    ),
    "an admonition in curly quotes": (
        "??? note “Title”\n    text",
        "??? note",
        'an admonition begins like !!! note "Title" or ??? note "Title"; got ??? note “Title”',
    ),
    "an admonition without its text": (
        "!!! note\n  text",
        "  text",
        "the text of an admonition is indented by four; this line is not in it",
    ),
    "code that begins and does not end": ("a\nsee `x here", "see", OPEN_CODE),
    "code over two lines": ("see `x\ny` here", "see", OPEN_CODE),
    "a link that does not end": (
        "a [b](https://example.org and",
        "a [b]",
        "the link that begins with '](https://example.org and' does not end on its line",
    ),
    "a footnote that is not there": (
        "a\nb[^1]",
        "b[^1]",
        "[^1] is not written anywhere; begin a line with [^1]:",
    ),
    "a footnote that nobody needs": ("a\n\n[^1]: b", "[^1]", "nothing refers to [^1]"),
    "a footnote twice": (
        "a[^1]\n\n[^1]: b\n[^1]: c",
        "]: c",
        "[^1] is already at line 17; the first would be lost",
    ),
    "a link to nothing": ("[a][b]", "[a]", "[b] is not written anywhere; begin a line with [b]:"),
    "a conflict": ("a\n\n<<<<<<< HEAD\nb", "<<<<", CONFLICT.format(7 * "<")),
    "the end of a conflict": ("a\n\n>>>>>>> main\nb", ">>>>", CONFLICT.format(7 * ">")),
    **{
        f"foreign: {mark}": (line, line, FOREIGN.format(repr(mark), advice))
        for mark, line, advice in [
            ("‘‘‘", "‘‘‘python", "a fence begins with three backticks"),
            ("![[x.png]]", "![[x.png]]", LINKED),
            ("[[02-x|it]]", "see [[02-x|it]]", LINKED),
            ("[@", "see [@rumelhart1986]", LINKED),
            ("^", "see^[A note.]", "write [^name], and below it [^name]: and the note"),
            ("- [ ]", "- [ ] to do", "leave it out"),
            ("--8<--", '--8<-- "x.md"', "leave it out"),
            ("..", ".. note::", "leave it out"),
            ("{{", "{{ x }}", "leave it out"),
            ("*[HTML]:", "*[HTML]: Hyper", "leave it out"),
            ("~~", "~~this~~", "leave it out"),
            ("==", "it ==matters== much", "leave it out"),
            ("%%", "a %%comment%%", "leave it out"),
            ("{++", "{++more++}", "leave it out"),
            (":smile:", "a :smile:", "leave it out"),
            ("\\", "one\\", "leave a line empty, and a new paragraph begins"),
            ("~2~", "H~2~O", "write <sub>2</sub>, <sup>2</sup> or a formula"),
            ("^th^", "the 4^th^ one", "write <sub>2</sub>, <sup>2</sup> or a formula"),
            ("==", "== Title", "a heading begins with #"),
            ("===", '=== "Tab"', "a heading begins with #"),
            ("///", "/// note", NOTE),
            ("•", "• one", "a list begins with -, or with 1."),
            ("2)", "2) one", "a list begins with -, or with 1."),
            ("] (", "[a] (https://b.org)", "write [text](address)"),
            ("(https://b.org)[", "(https://b.org)[a]", "write [text](address)"),
            ("%%", "%% a comment", "leave it out"),
            ("-", "-\u00a0one", "write an ordinary space there"),
            ("1.", "1.\u00a0one", "write an ordinary space there"),
        ]
    },
    "a list below a text": (
        "Words:\n- one",
        "- one",
        "leave an empty line above the list; else the page makes it a part of the text",
    ),
    "a list within a list": ("- one\n  - two", "  - two", NESTED),
    "a list within a list of numbers": ("1. one\n   - two", "   - two", NESTED),
    "a script as a link": ("[x](javascript:y)", "java", ELSEWHERE.format("](javascript:")),
    "a file of this machine": ("[x](file:///y)", "file", ELSEWHERE.format("](file:")),
    "a picture elsewhere": ("![x](https://y)", "http", ELSEWHERE.format("![x](https:")),
    "a picture without words": ("![](x.svg)", "![]", ELSEWHERE.format("![](")),
    "a lost picture": ("a \ufffc b", "a ", "no character of any text, U+FFFC; remove it"),
    "a bullet of a word processor": ("\uf0b7 one", "one", "no character of any text, U+F0B7; remove it"),
    "a lost letter": ("na\ufffdve", "na", "no character of any text, U+FFFD; remove it"),
    "the middle of a conflict": ("a\n||||||| base\nb", "||||", CONFLICT.format(7 * "|")),
    "a conflict in a cell": (fence("x = 1\n>>>>>>> main\nprint(x)"), ">>>>", CONFLICT.format(7 * ">")),
    "a conflict in a display": ('$$\n<<<<<<< HEAD\nx\n$$ {unchecked="so"}', "<<<<", CONFLICT.format(7 * "<")),
    "a break of MyST": (
        "a\n\n+++ {}\n",
        "+++",
        FOREIGN.format("'+++'", "cells are fences here, so leave it out"),
    ),
    "a percent cell": ("# %% x", "# %%", FOREIGN.format("'# %%'", "a cell is a ```python fence")),
    "a magic": ("%matplotlib inline", "%mat", FOREIGN.format("'%matplotlib'", MAGIC)),
    "a cell's magic": ("%%time", "%%time", FOREIGN.format("'%%time'", MAGIC)),
    "a command": ("!pip install x", "!pip", FOREIGN.format("'!pip'", MAGIC)),
    "a note of MyST": (":::{note}\nx\n:::", ":::{", FOREIGN.format("':::'", NOTE)),
    "a note of GitHub": ("> [!NOTE]\n> x", "[!NOTE]", FOREIGN.format("'> [!NOTE]'", NOTE)),
    "a reference of LaTeX": (r"see \eqref{eq:x}", "see", FOREIGN.format(r"'\\eqref{'", "write @eq:name")),
    "a role of MyST": ("see {eq}`x`", "see", FOREIGN.format("'{eq}'", "write @eq:name")),
    "a reference in capitals": ("see @Eq:x", "see", FOREIGN.format("'@Eq'", "write @eq:name")),
    "a reference to capitals": ("see @eq:X", "see", FOREIGN.format("'@eq'", "write @eq:name")),
    "a fold of HTML": ("<details>", "<details>", HTML.format("<details>")),
    "a table of HTML": ("a <td>", "<td>", HTML.format("<td>")),
    "a tag that does not end": ("a <b>c", "<b>", "'<b>' is not opened and closed on one line"),
    "a tag that does not begin": ("a </sub>c", "</sub>", "'</sub>' is not opened and closed on one line"),
    "a fence behind a no-break space": (
        "\u00a0```python\n1\n```",
        "```python",
        QUOTED.format(r"'\xa0'"),
    ),
    "a no-break space in a fence": (
        "```\u00a0python\n1\n```",
        "python",
        f"unknown fence '\u00a0python'; write one of {SHOWN}",
    ),
    "a space without width": ("a\u200bb", "a\u200bb", "a control character, U+200B; remove it"),
    "a mark of order in the middle": ("a\ufeffb", "a\ufeffb", "a control character, U+FEFF; remove it"),
    "a reason that says nothing": (
        '$$ x $$ {unchecked=" "}',
        "$$ x",
        'cannot read {unchecked=" "}; write {#eq:name} or {unchecked="why"}',
    ),
    "a computed number without a space": (
        "x is 1<!--= 1-->",
        "x is",
        "a computed number is written directly before its comment: 0.5<!-- = x -->",
    ),
    "a control character": ("a\x0cb", "a\x0cb", "a control character, U+000C; remove it"),
    "a line separator": ("a\u2028b", "a\u2028b", "a control character, U+2028; remove it"),
    "a region": (
        "<!-- #region -->\n\n" + CORE,
        "<!-- #region",
        "'<!-- #region' opens or closes a Jupytext region; remove it",
    ),
    "the end of a raw region": (
        "<!--#endraw-->",
        "<!--#endraw",
        "'<!--#endraw' opens or closes a Jupytext region; remove it",
    ),
    "a second title": ("# Two", "# Two", "a second title; the first is 'Sample 1'"),
    "mathematics in a heading": (
        "## The $x$",
        "## The",
        r"no mathematics in headings (contents show it raw): write δ, not $\delta$",
    ),
    # -- fences
    "an open fence": ("```text\nx", "```text", "the fence opened here is never closed"),
    "a fence in a fence": (
        "```text\n```python\n1\n```\n",
        "```python",
        "three backticks inside the fence of line 15; close that first",
    ),
    "a longer fence": ("````text\n````", "````text", "'````' is no fence here; write three backticks"),
    "tildes": ("~~~text\n~~~", "~~~text", "'~~~' is no fence here; write three backticks"),
    "no language": ("```\nx\n```", "```", f"a fence without a language; write one of {SHOWN}"),
    "an unknown language": ("```rust\nx\n```", "```rust", f"unknown fence 'rust'; write one of {SHOWN}"),
    "another case": ("```Python\nx\n```", "```Python", f"unknown fence 'Python'; write one of {SHOWN}"),
    "mermaid": ("```mermaid\nx\n```", "```mermaid", f"unknown fence 'mermaid'; write one of {SHOWN}"),
    "a shell": (
        "```bash\nls\n```",
        "```bash",
        "Jupyter would execute a 'bash' fence; write ```console to show it",
    ),
    "MyST": ("```{code-cell}\n1\n```", "```{code", "'{code-cell}' is MyST; write ```python"),
    "a fence in one line": ("```x```\n```", "```x", f"unknown fence 'x```'; write one of {SHOWN}"),
    "attributes of a shown fence": (
        "```text a=1\n```",
        "```text",
        "a text fence takes no attributes, got 'a=1'",
    ),
    "attributes of a transcript": (
        "```pycon a=1\n```",
        "```pycon",
        "a pycon fence takes no attributes, got 'a=1'",
    ),
    "an indented cell": (
        "  ```python\n  1\n  ```",
        "  ```python",
        "an indented python fence is not run; move it to the margin, or write 'py' to show it only",
    ),
    # -- attributes
    "an unknown tag": (fence("1", 'tags=["x"]'), "tags", f'tags=["x"] is unknown; write one of {TAGS}'),
    "two tags": (
        fence("1", 'tags=["core", "check"]'),
        "tags",
        f'tags=["core", "check"] is unknown; write one of {TAGS}',
    ),
    "an aside that is no core cell": (
        fence("1", 'tags=["aside"]'),
        "tags",
        f'tags=["aside"] is unknown; write one of {TAGS}',
    ),
    "a tag without a list": (
        fence("1", 'tags="core"'),
        "tags",
        f'tags="core" is unknown; write one of {TAGS}',
    ),
    "an unknown attribute": (
        fence("1", 'nme="x"'),
        "nme",
        "unknown attribute 'nme=\"x\"'; write one of tags=…, name=…, alt=…, raises=…",
    ),
    "a flag": (
        fence("1", ".noeval"),
        ".noeval",
        "unknown attribute '.noeval'; write one of tags=…, name=…, alt=…, raises=…",
    ),
    "an attribute twice": (fence("1", 'alt="x" alt="y"'), "alt", "alt is given twice"),
    "no space between": (
        fence("x = 1", 'tags=["core"]name="x"'),
        "tags",
        "a space must follow the value of tags: 'name=\"x\"'",
    ),
    "a tab between": (
        fence("x = 1", 'tags=["core"]\tname="x"'),
        "tags",
        "a space must follow the value of tags: '\\tname=\"x\"'",
    ),
    "no JSON": (fence("1", "alt='x'"), "alt", "the value of alt is not JSON: 'x'"),
    "an empty attribute": (fence("1", 'alt=" "'), "alt", "alt must be a non-empty text in quotes"),
    "a line in a name": (
        fence("x = 1", 'tags=["core"] name="a\\nimport os"'),
        "tags",
        f"name {HOLDS}".format("000A"),
    ),
    "a return in a name": (
        fence("x = 1", 'tags=["core"] name="a\\rb"'),
        "tags",
        f"name {HOLDS}".format("000D"),
    ),
    "nothing in a name": (
        fence("x = 1", 'tags=["core"] name="a\\u0000"'),
        "tags",
        f"name {HOLDS}".format("0000"),
    ),
    "half a character in a name": (
        fence("x = 1", 'tags=["core"] name="a\\udc00"'),
        "tags",
        f"name {HOLDS}".format("DC00"),
    ),
    "half a character in alt": (fence("1", 'alt="a\\ud800"'), "alt", f"alt {HOLDS}".format("D800")),
    "a line separator in raises": (
        fence("1", 'raises="a\\u2028"'),
        "raises",
        f"raises {HOLDS}".format("2028"),
    ),
    "a space in a name": (fence("x = 1", 'tags=["core"] name="a b"'), "tags", f"{NAMED}'a b'"),
    "quotes in a name": (fence("x = 1", 'tags=["core"] name="a\\"b"'), "tags", f"{NAMED}'a\"b'"),
    "other letters in a name": (fence("x = 1", 'tags=["core"] name="größe"'), "tags", f"{NAMED}'größe'"),
    "two errors": (
        fence("1", 'raises="KeyError, ValueError"'),
        "raises",
        f"{RAISES} 'KeyError, ValueError'",
    ),
    "an error with half a pattern": (
        fence("1", 'raises="KeyError: ("'),
        "raises",
        "raises= holds no pattern: missing ), unterminated subpattern at position 0",
    ),
    "a comparison that is only printed": (fence("print(np.allclose(1, 1))"), "print", COMPARED),
    "two of them": (fence("print(np.allclose(1, 1), np.array_equal([1], [1]))"), "print", COMPARED),
    "and one inside of another": (fence("print(all(np.allclose(x, x) for x in (1, 2)))"), "print", COMPARED),
    "beside a word": (fence("print('equal:', np.allclose(1, 1))"), "print", COMPARED),
    "by a method": (fence("print(np.isclose([1], [1]).all())"), "print", COMPARED),
    "by a limit": (fence("print(abs(1 - 1) < 1e-6)"), "print", COMPARED),
    "in a text": (fence("print(f'{abs(1 - 1) < 1e-6}')"), "print", COMPARED),
    "turned round": (fence("print(not np.any(np.abs(1 - 1) > 1e-6))"), "print", COMPARED),
    "as a choice": (fence("print('yes' if np.allclose(1, 1) else 'no')"), "print", COMPARED),
    "under a name": (fence("close = abs(1 - 1) < 1e-6\nprint(close)"), "print", COMPARED),
    "left to stand alone": (fence("np.allclose(1, 1)"), "np.allclose", COMPARED),
    "an assertion with a way out": (fence("assert True or 1 < 0"), "assert", COMPARED),
    "a name from a transcript": (
        "```pycon\n>>> a = 1\n```\n" + fence("print(a)"),
        "print",
        TRANSCRIBED.format("a"),
    ),
    "a name that it set last": (
        fence("a = 0\nprint(a)") + "\n```pycon\n>>> a = 1\n```\n" + fence("a = a + 1"),
        "a = a",
        TRANSCRIBED.format("a").replace("line 16", "line 21"),
    ),
    "a name from a loop in a transcript": (
        "```pycon\n>>> for b in (1, 2):\n...     c = b\n```\n" + fence("print(c)"),
        "print",
        TRANSCRIBED.format("c"),
    ),
    "a deep attribute": (
        fence("1", "tags=" + "[" * 4000),
        "tags",
        "the value of tags is not JSON: " + "[" * 60,
    ),
    # -- python
    "brackets within brackets": (fence("x = 1\ny = " + "[" * 150 + "]" * 150), "y = [", DEEP),
    "a chain of calls": (fence("x = 1\ny = x" + "()" * 1500), "y = x", DEEP),
    "a long sum": (fence("x = 1\ny = " + "x + " * 1200 + "x"), "y = x", DEEP),
    "signs": (fence("x = 1\ny = " + "-" * 4900 + "x"), "y = -", DEEP),
    "a prompt": (
        fence(">>> 1 + 1\n2"),
        ">>>",
        "a transcript in a python fence is run without its prompts; write ```pycon",
    ),
    "a syntax error": (fence("x = 1\nx ="), "x =", "syntax error: invalid syntax"),
    "a magic in a cell": (fence("x = 1\n%matplotlib inline"), "%mat", MAGICAL.format("'%matplotlib inline'")),
    "a command in a cell": (fence("!pip install x"), "!pip", MAGICAL.format("'!pip install x'")),
    "a question in a cell": (fence("x = 1\nnp.sum?"), "np.sum?", MAGICAL.format("'np.sum?'")),
    "a return outside of a function": (
        fence("1\nreturn 2"),
        "return 2",
        "syntax error: 'return' outside function",
    ),
    "an empty cell": (fence("# nothing"), "```python", "an empty python cell"),
    "a core cell without name": (
        fence("x = 1", 'tags=["core"]'),
        "tags",
        'a core cell needs a name, as in name="linear-backward"',
    ),
    "a name without a core cell": (
        fence("1", 'name="x"'),
        "name=",
        "only core cells have a name",
    ),
    "a figure without text": (
        fence("1", 'tags=["hide-input"]'),
        "tags",
        'a figure needs alt="…": say what one sees in it',
    ),
    "an error that a tagged cell raises": (
        fence("1", 'tags=["notation"] raises="ValueError: ."'),
        "tags",
        "raises= belongs to a plain demonstration",
    ),
    "a cell that only defines": (
        fence("def f(): ..."),
        "```python",
        'a cell that only defines belongs to the module: add tags=["core"] and a name, '
        "or use what it defines in the same cell",
    ),
    # -- core cells
    "a long core line": (
        core("x = 1  #" + "x" * 72, "x"),
        "xxxxx",
        "a core line has 80 characters, at most 79",
    ),
    "an import in a core cell": (
        core("x = 1\nimport math", "x"),
        "import math",
        IMPORT,
    ),
    "an import in a core function": (
        core("def f():\n    import math", "f"),
        "import math",
        IMPORT,
    ),
    "an import in a core function that catches something else": (
        core("def f():\n    try:\n        import tqdm\n    except ValueError:\n        pass", "f"),
        "import tqdm",
        IMPORT,
    ),
    "an import instead of one that failed": (
        core("def f():\n    try:\n        pass\n    except ImportError:\n        import tqdm", "f"),
        "import tqdm",
        IMPORT,
    ),
    "a global": (
        core("def f():\n    global x", "f"),
        "global x",
        "'global' in a core cell; keep state in an object",
    ),
    "a call": (
        core("x = 1\nprint(x)", "x"),
        "print",
        ACT,
    ),
    "an attribute set": (
        core("def f(): ...\n\n\nf.x = 1", "x"),
        "f.x",
        ACT,
    ),
    "an item set": (
        core("x = {}\nx[0] = 1", "x"),
        "x[0]",
        ACT,
    ),
    "a name only annotated": (
        core("y = 1\nx: int", "x"),
        "x: int",
        ACT,
    ),
    "a name bound in passing": (
        core("x = (y := 1)", "x"),
        "x = (",
        ACT,
    ),
    "a name added to": (
        core("x = 1\nx += 1", "x"),
        "x += 1",
        ACT,
    ),
    "the module imported later": (
        fence("from backprop_core import x"),
        "backprop_core",
        "import backprop_core only in the chapter's first cell",
    ),
    # -- mathematics
    "a display without label": (
        DISPLAY,
        "$$ x",
        'a display needs a label or a reason: $$ {#eq:name} or $$ {unchecked="why"}',
    ),
    "a label that cannot be read": (
        DISPLAY + "{#eq:A}",
        "$$ x",
        'cannot read {#eq:A}; write {#eq:name} or {unchecked="why"}',
    ),
    "an empty label": (DISPLAY + "{}", "$$ x", 'cannot read {}; write {#eq:name} or {unchecked="why"}'),
    "an open display": ("$$\nx", "$$", "the display opened here is never closed with '$$'"),
    "a display that runs into a cell": (
        "$$\n" + CORE,
        "$$",
        "the display opened here is never closed with '$$'",
    ),
    "text behind a display": (
        "$$ x $$ {#eq:x}.",
        "$$ x",
        'cannot read {#eq:x}.; write {#eq:name} or {unchecked="why"}',
    ),
    "a display in a display": (
        "$$\nx $$ y $$ {#eq:x}",
        "x $$",
        "the display ends with '$$', but 'y $$ {#eq:x}' stands behind it",
    ),
    "lines that number themselves": (
        "$$\n\\begin{align}\nx\n\\end{align}\n$$ {#eq:x}",
        "$$",
        "align numbers its lines itself; write aligned or gathered",
    ),
    "an empty display": ("$$\n$$ {#eq:x}", "$$", "an empty display"),
    "a computed number apart": (
        "1 <!-- = 1 -->",
        "<!--",
        "a computed number is written directly before its comment: 0.5<!-- = x -->",
    ),
    # -- notation
    "other columns": (
        "| Symbol | Set | In code |\n|---|---|---|",
        "| Symbol",
        "a notation table has the columns Symbol | Meaning | Set | In code",
    ),
    "a bar in a formula": (
        "| Symbol | Meaning | Set | In code |\n|---|---|---|---|\n| $|x|$ | m | s | `x` |",
        "$|x|$",
        "a notation row has 4 cells, this one 6 "
        r"(a | inside a formula splits the cell: write \lvert or \mid)",
    ),
    "a symbol without dollars": (
        "| Symbol | Meaning | Set | In code |\n|---|---|---|---|\n| x | m | s | `x` |",
        "| x |",
        "the symbol must be one formula in dollars, got 'x'",
    ),
    "code without ticks": (
        "| Symbol | Meaning | Set | In code |\n|---|---|---|---|\n| $x$ | m | s | x |",
        "| $x$",
        "the last cell must be code in backticks, got 'x'",
    ),
}


@pytest.mark.parametrize(("body", "where", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(body: str, where: str, message: str) -> None:
    with pytest.raises(BookError) as error:
        chapter(body)
    place, _, said = str(error.value).partition(": ")
    assert said == message
    line = int(place.removeprefix("book/01-sample.md:"))
    assert where in chapter_text(body).split("\n")[line - 1]


KEPT = """
`if a<b and c>d`, $a<b$ and $c>d$, `` `<eps>` ``, <https://example.org/?a=b>, a < b, 1<2, <3, <br>, <br />
<span class="x" title='y'>y</span> costs $5 <!-- a <b> --> and not $6. A footnote[^1], ~5,
a == b, [[1], [2]], 1:2: an [address][One], [two],
[Three][], a #, x @ y, 3 + 4, {a}, 5% off, and `@Eq:a`, `##` or `[^2]` in code.
Here, **%**timeit and <b>bold</b>.

> A quote, with `$$` and $|x|$.

A year,
1990. It is a sentence.

- A list
- of two lines
    - and one within
1. and

    with more below it.

??? note "Title"

    Text of it

    ```text
    shown
    ```

    and more.

[^1]: Of a footnote

    there may be more, too.

[one]: https://example.org
[two]: https://example.org
[three]: https://example.org

!!! note
    ```text
    shown at once
    ```

A term
:   and what it is

    at length.

---

| $x$ | `a|b` |
|:-:|---|
| $\\lvert x \\rvert$ | `c|d` and $y$ |
| $\\|x\\|$ |
"""


def test_what_only_looks_like_it_is_taken() -> None:
    chapter(KEPT)


HEADERS = {
    "a mark": ("\ufeff" + HEADER, "1: the file begins with a byte order mark; save it without"),
    "no header": ("# Title", f"1: a chapter begins with\n{HEADER}"),
    "an empty file": ("", f"1: a chapter begins with\n{HEADER}"),
    "another format": (HEADER.replace("markdown", "myst"), f"1: a chapter begins with\n{HEADER}"),
    "no title": (HEADER, "1: the chapter has no title: begin it with '# Title'"),
    **{
        f"a title with {mark}": (
            chapter_text("", title=title),
            f"9: a title is plain text, without {mark}: contents and module show it raw",
        )
        for mark, title in [
            ("`", "The `half`"),
            ("*", "A *b*"),
            ("[", "[A](b.md)"),
            ("#", "A #"),
            ("\\", "A\\b"),
        ]
    },
    "code before the imports": (
        chapter_text("", imports="x = 1"),
        "11: a chapter's first python cell is its import cell: plain imports, no tags",
    ),
    "everything imported": (
        chapter_text("", imports="from backprop_core import *"),
        "12: name what the chapter uses: from backprop_core import …",
    ),
    "the module imported": (
        chapter_text("", imports="import numpy as np, backprop_core as bc"),
        "12: name what the chapter uses: from backprop_core import …",
    ),
}


@pytest.mark.parametrize(("text", "message"), HEADERS.values(), ids=HEADERS)
def test_refused_above_the_body(text: str, message: str) -> None:
    with pytest.raises(BookError) as error:
        parse_chapter(text, BOOK / "01-sample.md")
    assert str(error.value) == f"book/01-sample.md:{message}"


EQUATION = "$$ x $$ {#eq:x}\n"
HERE = "| In PyTorch | Here |\n|---|---|\n| `x.grad` | `{}` |\n\n" + fence(
    "x = np.add(1, 2)\nprint(sorted([x]))"
)
BOOKS = {
    "code in a table that no cell has": (
        [HERE.format("np.add(1, 3)")],
        "book/01-sample.md:17: `np.add(1, 3)` stands in no code of the book",
    ),
    "a name in a table that does not exist": (
        [HERE.format("_unfit")],
        "book/01-sample.md:17: `_unfit` stands in no code of the book",
    ),
    "two functions that changed places": (
        [HERE.format("reversed([x])")],
        "book/01-sample.md:17: `reversed([x])` stands in no code of the book",
    ),
    "a label twice": (
        [EQUATION + "@eq:x", "\n" + EQUATION],
        "book/02-sample.md:16: eq:x is already at book/01-sample.md:15",
    ),
    "an unknown label": (["@eq:x"], "book/01-sample.md:15: eq:x is not the label of any equation"),
    "an unknown label in code": (
        [core("x = 1  # eq:x", "x")],
        "book/01-sample.md:16: eq:x is not the label of any equation",
    ),
    "a label that is not used": (
        [EQUATION],
        "book/01-sample.md:15: eq:x is never referred to; refer to it with @eq:x",
    ),
    "a cell name twice": (
        [core("x = 1", "x"), core("y = 1", "x")],
        "book/02-sample.md:16: the name 'x' is already used at book/01-sample.md:16",
    ),
    "an unknown import": (
        ["", ("", "import numpy as np\nfrom backprop_core import x, y")],
        "book/02-sample.md:13: x is not defined in an earlier chapter",
    ),
    "an import from the chapter itself": (
        [(core("x = 1", "x"), "from backprop_core import x")],
        "book/01-sample.md:12: x is not defined in an earlier chapter",
    ),
}


@pytest.mark.parametrize(("bodies", "message"), BOOKS.values(), ids=BOOKS)
def test_refused_between_chapters(bodies: list, message: str) -> None:
    parts = [body if isinstance(body, tuple) else (body, "import numpy as np") for body in bodies]
    with pytest.raises(BookError) as error:
        check_book([chapter(body, number, imports) for number, (body, imports) in enumerate(parts, 1)])
    assert str(error.value) == message


def test_an_import_that_the_module_can_do_without_is_taken() -> None:
    source = "def f():\n    try:\n        import tqdm\n    except ImportError:\n        tqdm = None\n"
    assert [cell.source for cell in chapter(core(source, "f")).core] == [source]


NOT_IN_LINKS = ("02-b copy.md", "02-größe.md", "02-a#b.md", "02-a%20b.md", "02-a'b.md", "02-a.b.md", "02-.md")


def test_refused_files(tmp_path: Path) -> None:
    def message() -> str:
        with pytest.raises(BookError) as error:
            read_book(tmp_path)
        return str(error.value).removeprefix(str(tmp_path))

    assert message() == ": no chapters: expected files like 01-slope.md"
    (tmp_path / "01-a.md").write_text(chapter_text(""))
    (tmp_path / "01-b.md").write_text(chapter_text(""))
    assert message() == "/01-b.md: chapter 1 is already 01-a.md"
    (tmp_path / "01-b.md").write_bytes(b"---\n\xff")
    assert message() == "/01-b.md:2: not UTF-8 (invalid start byte at byte 4)"
    (tmp_path / "01-b.md").unlink()
    (tmp_path / "01-b.md").mkdir()
    assert message() == "/01-b.md: Is a directory"
    (tmp_path / "01-b.md").rmdir()
    (tmp_path / "references.md").write_text("# References\n")
    assert [one.path.name for one in read_book(tmp_path)] == ["01-a.md"]
    for name in ("2-b.md", "b.md", "02_b.md", "02-b.MD", "02-b.markdown", "02-b.qmd", *NOT_IN_LINKS):
        (tmp_path / name).write_text(chapter_text("", 2))
        assert message() == f"/{name}: begins like a chapter, but is not called like one: 04-linear.md"
        (tmp_path / name).unlink()
    below = tmp_path / "part" / "02-b.md"
    below.parent.mkdir()
    below.write_text(chapter_text("", 2))
    assert message() == (
        "/part/02-b.md: begins like a chapter, but stands in a folder of its own, where nobody reads it"
    )
    below.unlink()
    (tmp_path / ".ipynb_checkpoints").mkdir()
    for name in ("02-b.md~", ".02-b.md", "02-b.md.orig", ".ipynb_checkpoints/02-b.md"):  # of editors
        (tmp_path / name).write_text(chapter_text("", 2))
    assert [one.path.name for one in read_book(tmp_path)] == ["01-a.md"]


# -- Jupytext sees the same cells -----------------------------------------------------------


def check_with_jupytext(item: Chapter) -> None:
    notebook = jupytext.reads(item.text, fmt="md:markdown")
    theirs = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("lines_to_next_cell", None)
            theirs.append((cell.source.strip("\n"), dict(cell.metadata)))
    ours = []
    for cell in item.python:
        tags = [cell.tag, *["aside"] * cell.aside] if cell.tag else None
        raises = f"{cell.raises}: {cell.saying}" if cell.saying else cell.raises
        attributes = {"name": cell.name, "alt": cell.alt, "raises": raises, "tags": tags}
        found = {key: value for key, value in attributes.items() if value}
        ours.append((cell.source.strip("\n"), found))
    assert theirs == ours


def test_jupytext_on_a_sample(sample: Chapter) -> None:
    check_with_jupytext(sample)


@pytest.mark.parametrize("path", book_files(), ids=lambda path: path.stem)
def test_jupytext_on_the_book(path: Path) -> None:
    check_with_jupytext(read_chapter(path))


NASTY = [
    *("```", "````", "~~~", "```python", " ```python", "``` python", "```python `x`", "``` ", "```x"),
    *('```python tags=["core"] name="half"', '```python tags=["core"] name="x"', "```{code-cell}"),
    *('```python tags=["check"] name="double"', "```text", "```bash", "```sql", "    ```python"),
    *("<!-- #region -->", "<!-- #raw -->", "<!-- #endraw -->", "<!-- #md -->", "<!--", "-->"),
    *("$$", "$$ {#eq:half}", '$$ x $$ {unchecked="x"}', "---", "+++", "%%bash", "# %matplotlib inline"),
    *("!ls", "# Title", "| Symbol | Meaning | Set | In code |", "| $x$ | m | s | `x` |", 'x = """', '"""'),
    *("'''", "def f(): ...", "class half(half): ...", "import math", "from backprop_core import x"),
    *("    indented", ">>> 1", "return", "x = '", "\\", "\tx = 1", "@eq:half", "1<!-- = x -->", "f = half"),
    *("", "", "\x0c", "\x00", "\u2028", "\ufeff", "x\r", "    def g(self): ...", "class A:", "class A(A):"),
]


def test_mutated_chapters(examples: int = 100) -> None:  # more: tests/proofs/test_more_examples.py
    """Nothing but a BookError. What is accepted is what Jupytext reads, and no core cell is lost."""
    accepted = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal accepted
        lines = chapter_text(SAMPLE).split("\n")
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(lines) - 1))
            match data.draw(st.sampled_from(["insert", "replace", "delete", "double", "swap", "character"])):
                case "insert":
                    lines.insert(at, data.draw(st.sampled_from(NASTY)))
                case "replace":
                    lines[at] = data.draw(st.sampled_from(NASTY))
                case "delete":
                    del lines[at]
                case "double":
                    lines.insert(at, lines[at])
                case "swap":
                    lines[at], lines[at - 1] = lines[at - 1], lines[at]
                case "character":
                    column, removed = data.draw(st.integers(0, len(lines[at]))), data.draw(st.integers(0, 1))
                    character = data.draw(
                        st.sampled_from("`$|#\"'{}[]<>=\\ \t(:ä") | st.characters(codec="utf-8")
                    )
                    lines[at] = lines[at][:column] + character + lines[at][column + removed :]
        try:
            item = parse_chapter("\n".join(lines), BOOK / "01-sample.md")
            check_book([item])
            module = tangle([item]).text
        except BookError:
            return
        accepted += 1
        check_with_jupytext(item)
        for cell in item.core:
            assert f" · {cell.name}\n{cell.source}" in module

    run()
    assert accepted > examples / 25


def test_code_in_a_table_may_leave_out_what_is_between() -> None:
    for shown in ("np.add(…)", "y = np.add(1, 2)", "print(sorted(…))"):
        check_book([chapter(HERE.format(shown))])


@pytest.mark.parametrize(
    "code",
    ["judge(np.allclose(1, 1))", "print(np.sum(abs(x) < 1e-5))", "print(x < 2)", "assert np.allclose(1, 1)"],
)
def test_a_comparison_that_somebody_looks_at_is_taken(code: str) -> None:
    chapter(fence(f"judge, x = print, np.ones(2)\n{code}"))
