"""The notebook of a chapter: its text in the Markdown that Jupyter knows, its code, its outputs."""

import copy
import re

import nbformat
from nbformat import NotebookNode, v4

from literate.chapter import NUMBER, Chapter, Display
from literate.weave.pages import FIGURES, Book, drawing, is_figure, outside_code, segments, with_references

ADMONITION = re.compile(r'^(?:!!!|\?\?\?)\+? +([\w-]+)(?: +"(.*)")?$')


def notebook(book: Book, chapter: Chapter, executed: NotebookNode, end: str = "") -> NotebookNode:
    """``end`` is the text of a last cell."""
    runs = dict(zip((cell.place for cell in chapter.python), executed.cells, strict=True))
    result = v4.new_notebook(metadata=copy.deepcopy(executed.metadata))
    result.metadata["backprop_core"] = {"digest": book.module.digest}
    text: list[str] = []
    for item, source in segments(chapter):
        if item is None:
            text.append(prose(book, source))
        elif isinstance(item, Display):
            text.append(display(book, item))
        elif item.kind == "python":
            _add_text(result, text)
            cell = copy.deepcopy(runs[item.place])
            tags = [item.tag] * bool(item.tag) + ["raises-exception"] * bool(item.raises)  # Run All goes on
            cell.metadata = {"tags": tags} if tags else {}
            result.cells.append(cell)
        else:
            text.append(source)
    _add_text(result, text)
    _add_text(result, [end])
    for number, cell in enumerate(result.cells, 1):
        cell.id = f"cell-{number}"
    return result


def saved(book: Book, chapter: Chapter, executed: NotebookNode, end: str) -> tuple[str, str]:
    """The notebook as its reader gets it, and as mkdocs-jupyter does: with figures as they are on pages."""
    made = notebook(book, chapter, executed, end)
    shown = copy.deepcopy(made)
    del shown.metadata["backprop_core"]
    for cell, run in zip(chapter.python, (one for one in shown.cells if "outputs" in one), strict=True):
        for output in filter(is_figure, run.outputs):
            output.data = {"text/html": drawing(book, cell, output).image(f"../{FIGURES}")}
    return nbformat.writes(made) + "\n", v4.writes(shown)


def _add_text(notebook: NotebookNode, text: list[str]) -> None:
    if source := "\n".join(text).strip():
        notebook.cells.append(v4.new_markdown_cell(source))
    text.clear()


def display(book: Book, item: Display) -> str:
    tag = f"\\tag{{{book.equations[item.label].number}}}" if item.label else ""
    return f"$$\n{item.tex}\n{tag}\n$$" if tag else f"$$\n{item.tex}\n$$"


def prose(book: Book, text: str) -> str:
    text = NUMBER.sub(lambda found: found["shown"], text)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"^\[\^(\w+)\]:", r"<sup>\1</sup>", text, flags=re.M)
    text = re.sub(r"\[\^(\w+)\]", r"<sup>\1</sup>", text)
    text = re.sub(r"\]\((\d\d-[\w-]+)\.md(?:#[\w-]+)?\)", r"](\1.ipynb)", text)
    text = re.sub(r"\]\((exercises/[\w-]+)\.md(#[\w-]+)?\)", r"](../\1.html\2)", text)
    text = re.sub(r"\]\((data/[\w.-]+)\)", r"](../\1)", text)
    text = re.sub(r"\[([^\]]+)\]\([\w-]+\.md(?:#[\w-]+)?\)", r"\1", text)

    def numbered(part: str) -> str:
        return with_references(part, lambda label: f"({book.equations[label].number})")

    return outside_code(_quotes(text), numbered)


def _quotes(text: str) -> str:
    """Admonitions as block quotes."""
    lines, inside = [], False
    for line in text.split("\n"):
        if found := ADMONITION.match(line):
            # The comment keeps two quotes in a row apart.
            lines += ["<!-- -->", "", f"> **{found[2] or found[1].capitalize()}**", ">"]
            inside = True
        elif inside and (line.startswith("    ") or not line):
            lines.append(f"> {line[4:]}".rstrip())
        else:
            if inside:
                lines.append("")
            lines.append(line)
            inside = False
    return "\n".join(lines)


# -- as a page ------------------------------------------------------------------


def tidy(page: str, chapter: Chapter) -> str:
    """The page that mkdocs-jupyter makes of a notebook, in the clothes of this book.

    It comes with 600 KB of style, scripts that load others, and formulas as text.
    """
    page = re.sub(r"<(style|script|clipboard-copy)\b.*?</\1>|<!--.*?-->", "", page, flags=re.S)
    page = re.sub(r"<div\s[^>]*(?:clipboard-copy-txt|jp-Collapser)[^>]*>.*?</div>", "", page, flags=re.S)
    page = re.sub(r'<span class="cell-tag">.*?</span>| tabindex="0"| id="cell-id=[^"]*"', "", page)
    page = page.replace('class="highlight-ipynb', 'class="highlight')
    page = page.replace('class="jp-RenderedText', 'class="highlight output')
    page = re.sub(r"<pre>(?!<code)\n?(.*?)</pre>", r"<pre><code>\1</code></pre>", page, flags=re.S)
    stem = chapter.path.stem
    above = (
        f'<p class="above">Chapter {chapter.number}, as a notebook<span>'
        f'<a href="../{stem}.html">Back to the chapter</a>'
        f'<a href="{stem}.ipynb" download>Download</a></span></p>'
    )
    parts = re.split(r"(<pre.*?</pre>|<code.*?</code>|<img[^>]*>)", page, flags=re.S)
    return above + "".join(part if n % 2 else _mathematics(part) for n, part in enumerate(parts))


def _mathematics(part: str) -> str:
    part = re.sub(
        r"<p>\$\$(.*?)(?:\\tag\{([\d.]+)\}\s*)?\$\$</p>",
        lambda m: (
            f'<div class="eq"><div class="arithmatex">\\[{m[1]}\\]</div>'
            f"<span>{(m[2] and f'({m[2]})') or ''}</span></div>"
        ),
        part,
        flags=re.S,
    )
    part = re.sub(r"\$([^$]+)\$", r'<span class="arithmatex">\\(\1\\)</span>', part)
    return re.sub(r'(href="\d\d-[\w-]+)\.ipynb"', r'\1.html"', part).replace(
        'class="anchor-link"', 'class="headerlink"'
    )
