"""Chapters are run once for each state of their code, and what goes wrong is told at its line of the book."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from jupyter_client.provisioning import KernelProvisionerFactory
from nbformat import NotebookNode, v4

from literate.chapter import ROOT, BookError, Chapter
from literate.reader import read_book, read_chapter
from literate.run.notebooks import check, execute, latest, run
from literate.tangle.module import Module, tangle
from tests.books import ONE, TWO, chapter_text, core, line_of, write_book

EMPTY = Module("", {}, "")


def one_cell(folder: Path, body: str, imports: str = "") -> Chapter:
    path = folder / "01-cell.md"
    path.write_text(chapter_text(body, imports=f"import numpy as np\n{imports}"), encoding="utf-8")
    return read_chapter(path)


def refusal(folder: Path, body: str, *outputs: NotebookNode) -> str:
    """What is said when the last cell has these outputs."""
    asked = one_cell(folder, body)
    cell = v4.new_code_cell(outputs=list(outputs))
    with pytest.raises(BookError) as caught:
        check(asked, asked.python[-1], cell, EMPTY)
    return str(caught.value).replace(f"{folder}/", "")


def printed(text: str, stream: str = "stdout") -> NotebookNode:
    return v4.new_output("stream", name=stream, text=text)


def differences(chapter: Chapter, first: NotebookNode, second: NotebookNode) -> Iterator[str]:
    """Where two executions of a chapter show different outputs."""
    for cell, a, b in zip(chapter.python, first.cells, second.cells, strict=True):
        if a.outputs != b.outputs:
            yield f"{cell.place}: the outputs differ:\n{_summary(a)}\n--- and ---\n{_summary(b)}"


def _summary(cell: NotebookNode) -> str:
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join(text.rstrip() for text in texts)


def texts(notebook: NotebookNode) -> list[str]:
    outputs = (output for cell in notebook.cells for output in cell.outputs)
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]


def executed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return sorted(line.split()[0] for line in capsys.readouterr().out.splitlines() if "executed" in line)


def test_a_chapter_may_read_files_that_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book, cache = tmp_path / "book", tmp_path / "cache"
    data = book / "data"
    data.mkdir(parents=True)
    code = "from pathlib import Path; print(Path('data/a.txt').read_text(), *Path('data').iterdir())"
    reading = f"{TWO}\nWords.\n\n```python\n{code}\n```\n"
    for text, again in [("old", ["01-one", "02-two", "index"]), ("new", ["02-two"])]:
        (data / "a.txt").write_text(text)
        (data / "b.txt").write_text(text)
        *_, notebook = run(read_book(write_book(book, ONE, reading)), cache).values()
        assert any(shown == f"{text} data/a.txt\n" for shown in texts(notebook))
        assert executed(capsys) == again
    run(read_book(write_book(book, f"{ONE}\nMore words.\n", reading)), cache)
    assert executed(capsys) == []


def test_only_what_changed_is_run_again_also_when_a_chapter_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book, cache = tmp_path / "book", tmp_path / "cache"

    def rerun(one: str = ONE, two: str = TWO) -> list[str]:
        run(read_book(write_book(book, one, two)), cache)
        return executed(capsys)

    assert rerun() == ["01-one", "02-two", "index"]
    assert rerun() == []
    assert rerun(two=TWO.replace("By @eq:twice", "Some more prose.\n\nBy @eq:twice")) == []
    assert rerun(two=TWO.replace("forward(2) +", "forward(3) +")) == ["02-two"]
    assert rerun(one=ONE.replace("2 * x", "x + x")) == ["01-one", "02-two"]
    assert rerun(one=ONE + core("def triple(x):\n    return 3 * x", "triple")) == ["01-one"]
    assert rerun() == []
    with pytest.raises(BookError, match=r"01-one.md:\d+: NameError: name 'nothing' is not defined"):
        rerun(one=f"{ONE}\n```python\nnothing\n```\n", two=TWO.replace("forward(2) +", "forward(4) +"))
    assert executed(capsys) == ["02-two"]
    assert rerun(two=TWO.replace("forward(2) +", "forward(4) +")) == []


def test_a_traceback_passes_through_the_book(tmp_path: Path) -> None:
    failing = TWO + "\n```python\ndef ask():\n    return Double().forward({})\n\n\nask()\n```\n"
    one, two = read_book(write_book(tmp_path, two=failing))[1:]
    with pytest.raises(BookError) as caught:
        execute(two, tangle([one]))
    inner, outer = line_of(two.path, "forward({})"), line_of(two.path, "ask()\n".strip()) + 4
    core = line_of(one.path, "return 2 * x")
    assert str(caught.value).replace(f"{tmp_path}/", "").split("\n") == [
        f"02-two.md:{inner}: TypeError: unsupported operand type(s) for *: 'int' and 'dict'",
        f"  02-two.md:{outer}: ask()",
        f"  02-two.md:{inner}: return Double().forward({{}})",
        f"  01-one.md:{core}: return 2 * x  # eq:twice",
    ]


def test_warnings_are_errors(tmp_path: Path) -> None:
    with pytest.raises(BookError, match=r"01-cell.md:16: RuntimeWarning: divide by zero encountered in log"):
        execute(one_cell(tmp_path, "```python\nnp.log(np.zeros(1))\n```\n"), EMPTY)


def test_a_text_written_in_pieces_is_one_output(tmp_path: Path) -> None:
    body = "```python\nfor part in 'abc':\n    print(part, flush=True)\n```\n"
    assert texts(execute(one_cell(tmp_path, body), EMPTY)) == ["a\nb\nc\n"]


def test_a_declared_error_must_be_raised(tmp_path: Path) -> None:
    body = '```python raises="ValueError: ."\nnp.zeros(2)[3]\n```\n'
    assert refusal(tmp_path, body) == '01-cell.md:16: this cell says raises="ValueError" but raises nothing'
    error = v4.new_output("error", ename="IndexError", evalue="index 3 is out of bounds", traceback=[])
    assert refusal(tmp_path, body, error) == "01-cell.md:16: IndexError: index 3 is out of bounds"


@pytest.mark.parametrize(
    "broken", [("", '{"cells": [', "\0"), ['{"cells": [], "metadata": {}, "nbformat": 4}'] * 3]
)
def test_a_broken_cache_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: Sequence[str]
) -> None:
    chapters, cache = read_book(write_book(tmp_path / "book")), tmp_path / "cache"
    whole = run(chapters, cache)
    for entry, text in zip(cache.glob("*.ipynb"), broken, strict=True):
        entry.write_text(text)
    capsys.readouterr()
    shown, missing = latest(chapters, cache)
    assert len(missing) == len(chapters) and not any(cell.outputs for cell in shown[chapters[1].path].cells)
    assert run(chapters, cache) == whole
    assert executed(capsys) == ["01-one", "02-two", "index"]


def test_what_a_cell_must_not_print(tmp_path: Path) -> None:
    body = "```python\nnp.zeros(2)\n```\n"
    message = refusal(tmp_path, body, printed("oh\n", "stderr"))
    assert message == "01-cell.md:16: the cell writes to stderr: oh"
    for text in ("<object object at 0x7fed>", f"{ROOT}/.venv/bin/python", "/book-12-abc"):
        message = refusal(tmp_path, body, printed(f"['{text}', 1]"))
        said = f"prints an address, which changes with every run: {text}"
        assert message == f"01-cell.md:16: the cell {said}"


def test_cells_find_the_earlier_module_and_nothing_else(tmp_path: Path) -> None:
    body = "```python\nprint(os.listdir(), __import__('backprop_core').Double().backward(1))\n```\n"
    one, two = read_book(write_book(tmp_path, two=TWO + "\n"))[1:]
    later = one_cell(tmp_path, body, "import os")
    assert texts(execute(later, tangle([one, two]))) == ["[] 2\n"]
    with pytest.raises(BookError, match="has no attribute 'backward'"):
        execute(later, tangle([one]))


def test_figures_are_the_same_in_every_run_and_heavy_ones_are_light(tmp_path: Path) -> None:
    body = """
```python alt="dots"
figure, axes = plt.subplots()
axes.scatter(*np.random.default_rng(0).normal(size=(2, 5000)))
axes.set_title("dots")
plt.show()
```
"""
    drawn = one_cell(tmp_path, body, "import matplotlib.pyplot as plt")
    first, second = execute(drawn, EMPTY), execute(drawn, EMPTY)
    assert list(differences(drawn, first, second)) == []
    svg = first.cells[1].outputs[0].data["image/svg+xml"]
    assert "data:image/png" in svg and len(svg) < 200_000


def test_a_figure_is_shown_at_the_end_of_its_cell_and_one_must_be_there(tmp_path: Path) -> None:
    body = '```python alt="a line"\nplt.plot([0, 1]);\n```\n'
    notebook = execute(one_cell(tmp_path, body, "import matplotlib.pyplot as plt"), EMPTY)
    assert "image/svg+xml" in notebook.cells[1].outputs[0].data
    with pytest.raises(BookError, match=r"01-cell.md:16: this cell has alt=… but draws no figure"):
        execute(one_cell(tmp_path, body.replace("plt.plot", "print")), EMPTY)
    again = body.replace("plt.plot", "figure, axes = plt.subplots()\naxes.plot") + body.replace(
        "plt.plot([0, 1]);", "figure"
    )
    notebook = execute(one_cell(tmp_path, again, "import matplotlib.pyplot as plt"), EMPTY)
    assert [[*output.data] for output in notebook.cells[2].outputs] == [["image/svg+xml"]]
    valued = one_cell(tmp_path, body.replace(";", ""), "import matplotlib.pyplot as plt")
    with pytest.raises(BookError, match=r"01-cell.md:17: above its figure this cell shows \[<"):
        execute(valued, EMPTY)


def test_a_chapter_sees_nothing_of_those_that_ran_before_it_nor_of_the_tools(tmp_path: Path) -> None:
    spoil = "```python\nnp.seen = 1\nos.environ['SEEN'] = '1'\nopen('seen', 'w').close()\n```\n"
    execute(one_cell(tmp_path, spoil, "import os\nimport numpy as np"), EMPTY)
    seen = "hasattr(np, 'seen'), os.environ.get('SEEN'), os.listdir()"
    look = f"```python\nprint({seen}, find('literate'), find('tangle'))\n```\n"
    imports = "import os\nfrom importlib.util import find_spec as find\nimport numpy as np"
    assert texts(execute(one_cell(tmp_path, look, imports), EMPTY)) == ["False None [] None None\n"]


def test_ordinary_kernels_serve_where_processes_cannot_be_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = '```python alt="a line"\nplt.plot([0, 1]);\n```\n'
    drawn = one_cell(tmp_path, body, "import matplotlib.pyplot as plt")
    forked = execute(drawn, EMPTY)
    factory = KernelProvisionerFactory.instance()
    monkeypatch.setattr(factory, "default_provisioner_name", "local-provisioner")
    assert list(differences(drawn, forked, execute(drawn, EMPTY))) == []


def test_differences_show_both_outputs(tmp_path: Path) -> None:
    asked = one_cell(tmp_path, "```python\nprint(1)\n```\n")
    a, b = (
        v4.new_notebook(cells=[v4.new_code_cell(), v4.new_code_cell(outputs=[printed(text)])])
        for text in ("1\n", "2\n")
    )
    assert list(differences(asked, a, a)) == []
    (found,) = differences(asked, a, b)
    assert found.replace(f"{tmp_path}/", "") == "01-cell.md:16: the outputs differ:\n1\n--- and ---\n2"
