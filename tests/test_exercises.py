"""Exercises are read strictly, written once, marked with limits, and answered with what is wrong."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import math
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import exercises
from equations.inline import SYMBOL, number_of
from literate.chapter import BOOK, ROOT, BookError, Chapter
from literate.exercises import folder, patterns, pytest_items, variants
from literate.exercises.judge import Wrong, draws, gradients, number, parts, says, slopes
from literate.exercises.marker import COMMAND, Answer, Marker, Verdict
from literate.exercises.pytest_items import marker
from literate.exercises.sheets import Exercise, Sheet, parse_sheet, read_sheets
from literate.exercises.stubs import reader_file, stub
from literate.prove.alternatives import NUMBER, TYPED
from literate.prove.numbers import QUOTED, prose
from literate.prove.references import link_findings
from literate.prove.session import NotRun
from literate.prove.unbound import listed
from literate.reader import read_book
from literate.weave import exercises as weave
from literate.weave.pages import Book
from tests.books import HEADER, line_of, write_book

SHEET = """
# Exercises: one

## Twice

Write it from @eq:twice.

```python tags=["exercise"] name="one-twice" form="write" level="1"
def twice(x):
    raise NotImplementedError
```

??? hint "Hint"
    Add.

```python tags=["solution"] name="one-twice"
def twice(x):
    return 2 * x
```

```python tags=["check"] name="one-twice"
agrees(twice(np.arange(3.0)), [0, 2, 4], "twice", "eq:twice")
```

```python tags=["wrong"] name="one-twice" says="off by the factor 0.5 everywhere"
def twice(x):
    return x
```

```python tags=["wrong"] name="one-twice" says="got None"
def twice(x):
    2 * x
```

```python tags=["wrong"] name="one-twice" says="off by 1 everywhere"
def twice(x):
    return 2 * x + 1
```
"""


def sample(tmp_path: Path, sheet: str = SHEET, key: str = "one") -> Marker:
    """A small book with exercises to its first chapter."""
    book = write_book(tmp_path / "book")
    (book / "exercises").mkdir(exist_ok=True)
    (book / "exercises" / f"{key}.md").write_text(HEADER + sheet, encoding="utf-8")
    return Marker(read_book(book))


def found(name: str) -> tuple[Sheet, Exercise]:
    return next((sheet, one) for sheet in marker().sheets for one in sheet.exercises if one.name == name)


def judged(name: str, *sources: str, seconds: float | None = None) -> list[Verdict]:
    """What the marker says to these files, of which the exercise of that name is looked at."""
    sheet, exercise = found(name)
    if seconds:
        exercise = dataclasses.replace(exercise, seconds=seconds)
        sheet = dataclasses.replace(sheet, exercises=(exercise,))
    path = ROOT / "exercises" / sheet.file
    return list(marker().mark([Answer(sheet, exercise, path, source) for source in sources]))


def told(name: str, source: str, seconds: float | None = None) -> str:
    (verdict,) = judged(name, source, seconds=seconds)
    assert verdict.state == "failed"
    return verdict.message


# -- reading ------------------------------------------------------------------------

REFUSED = {
    "an unknown form": (
        'form="write"',
        'form="sing"',
        'form="',
        "form='sing' is unknown; write one of predict, pencil",
    ),
    "an unknown level": ('level="1"', 'level="9"', 'level="', "level='9' is unknown; write one of 1, 2, 3"),
    "no hint": ("??? hint", "!!! hint", "## Twice", "'one-twice' has no hint: write ??? hint"),
    "too few wrong answers": (
        SHEET[SHEET.rindex("```python") :],
        "",
        "## Twice",
        "'one-twice' has 2 wrong answers, at least 3 are wanted",
    ),
    "a wrong answer that expects nothing": (
        ' says="got None"',
        "",
        "    2 * x",
        'a wrong answer needs says="…"',
    ),
    "an unknown tag": (
        '["wrong"]',
        '["core"]',
        '["core"]',
        'tags=["core"] is unknown; write one of exercise, solution',
    ),
    "no check": (
        'tags=["check"] name',
        'tags=["wrong"] says="x" name',
        "## Twice",
        "has a solution and a check cell",
    ),
    "another exercise's cell": (
        'tags=["check"] name="one-twice"',
        'tags=["check"] name="two"',
        "agrees",
        "this cell belongs to 'two', the section",
    ),
    "an equation that is not there": (
        "@eq:twice",
        "@eq:none",
        "@eq:none",
        "eq:none is not the label of any equation",
    ),
    "an equation that a check does not find": (
        '"eq:twice")',
        '"eq:none")',
        "agrees",
        "eq:none is not the label of any equation",
    ),
    "a cell without a tag": (
        ' tags=["check"] name="one-twice"',
        "",
        "agrees",
        "a python cell here has one of the tags",
    ),
    "a cell without a name": (
        'tags=["check"] name="one-twice"',
        'tags=["check"]',
        'tags=["check"]',
        "a check cell needs a name, as in name=",
    ),
    "no seconds": (
        'level="1"',
        'level="1" seconds="soon"',
        'seconds="',
        "seconds='soon' is no number of seconds",
    ),
}


@pytest.mark.parametrize("old, new, at, message", REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, at: str, message: str
) -> None:
    assert old in SHEET
    with pytest.raises(BookError) as caught:
        sample(tmp_path, SHEET.replace(old, new))
    path = tmp_path / "book" / "exercises" / "one.md"
    line = line_of(path, at)
    said = str(caught.value)
    assert message in said
    place = re.match(rf"{re.escape(str(path))}:(\d+): ", said)
    assert place and abs(int(place[1]) - line) <= 1


def test_exercises_are_named_like_their_chapter(tmp_path: Path) -> None:
    with pytest.raises(BookError, match=r"three\.md: no chapter is called NN-three\.md"):
        sample(tmp_path, key="three")


def test_a_method_that_the_module_has_not_is_refused(tmp_path: Path) -> None:
    made = sample(
        tmp_path,
        SHEET.replace('level="1"', 'level="1" stub="Double.sideways"').replace(
            SHEET[SHEET.index('```python tags=["solution"]') : SHEET.index('```python tags=["check"]')], ""
        ),
    )
    (sheet,) = made.sheets
    with pytest.raises(
        BookError, match=r"one\.md:\d+: Double\.sideways is no function or method of the module"
    ):
        reader_file(sheet, made.core)


def test_a_sample_sheet_proves_itself(tmp_path: Path) -> None:
    made = sample(tmp_path)
    (sheet,) = made.sheets
    claims = list(variants.kinds(sheet))
    verdicts = made.mark(variants.answers(made, sheet))
    assert [what for *_, what in claims] == [
        "solution",
        "stub",
        *(f"wrong answer {n}" for n in (1, 2, 3)),
    ]
    for (_, cell, what), verdict in zip(claims, verdicts, strict=True):
        assert pytest_items.misjudged(verdict, cell, what) == ""


def test_what_a_task_shows_is_on_its_page(tmp_path: Path) -> None:
    told = "```text\nas printed\n```\n"
    small = sample(tmp_path, SHEET.replace("```python", f"{told}\n```python", 1))
    page = weave.pages(Book(small.chapters, small.module), small)["exercises/one.md"]
    assert page.index(told) < page.index("{.python .exercise")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("return 2 * x\n", "return 3 * x\n", "it is failed, not passed\ntwice: at [2] expected 4, got 6"),
        (
            'says="got None"',
            'says="got nothing"',
            "the marker does not say 'got nothing', but\ntwice: expected an array",
        ),
        ("    raise NotImplementedError", "    return 2 * x", "it is passed, not todo"),
        ("    2 * x\n", "    return 2 * x\n", "it is passed"),
    ],
)
def test_a_sheet_that_claims_too_much_is_noticed(tmp_path: Path, old: str, new: str, message: str) -> None:
    made = sample(tmp_path, SHEET.replace(old, new, 1))
    (sheet,) = made.sheets
    claims = list(variants.kinds(sheet))
    verdicts = made.mark(variants.answers(made, sheet))
    complaints = [
        pytest_items.misjudged(verdict, cell, what)
        for (_, cell, what), verdict in zip(claims, verdicts, strict=True)
    ]
    assert any(complaint.startswith(message) for complaint in complaints)


# -- the reader's files ---------------------------------------------------------------


def test_a_stub_has_signature_docstring_and_equations() -> None:
    _, exercise = found("linear-backward")
    text = stub(exercise, marker().core)
    assert text.startswith("from backprop_core import Linear\n\n\nclass Linear(Linear):")
    assert "\n    def backward(self, grad_output):\n" in text
    assert '        """dL/dx in the shape of x, from dL/dy' in text
    dw = marker().core.number("eq:linear-dw")
    line = rf"        # {dw} \frac{{\partial L}}{{\partial W}} = X^\top\,\frac{{\partial L}}{{\partial Y}}"
    assert line in text.split("\n")
    assert text.endswith("        raise NotImplementedError\n")
    assert "accumulate" not in text and "@" not in text  # nothing gives the answer away


def test_equations_stand_once_above_several_stubs() -> None:
    _, exercise = found("activations-corner")
    text = stub(exercise, marker().core)
    assert text.count(marker().core.number("eq:relu-slope")) == 1
    assert text.index(marker().core.number("eq:relu-slope")) < text.index("class ReLU")
    assert text.count("raise NotImplementedError") == 3


def test_all_reader_files_run_and_are_narrow() -> None:
    for sheet in marker().sheets:
        text, lines = reader_file(sheet, marker().core)
        exec(compile(text, sheet.file, "exec"), {"__name__": "mine"})
        listed = text.split("\n")
        for exercise in sheet.exercises:
            heading = f"# ---- {sheet.number(exercise)} · {exercise.title}"
            assert listed[lines[exercise.name] - 1].startswith(heading)
        prose = [line for line in listed if line.startswith("# ") and "\\" not in line and "----" not in line]
        assert max(map(len, prose)) <= 79


def test_files_are_written_once_and_kept(tmp_path: Path) -> None:
    first = dict(folder.write(marker(), tmp_path))
    assert all(first.values()) and sorted(path.name for path in first)[0].endswith("_slope.py")
    mine = folder.file_of(marker().sheets[0], tmp_path)
    mine.write_text("# mine\n", encoding="utf-8")
    other = folder.file_of(marker().sheets[1], tmp_path)
    other.unlink()
    again = dict(folder.write(marker(), tmp_path))
    assert [path for path, is_new in again.items() if is_new] == [other]
    assert mine.read_text(encoding="utf-8") == "# mine\n"


def test_a_file_with_the_former_number_of_its_chapter_is_still_the_readers(tmp_path: Path) -> None:
    sheet, _ = found("linear-backward")
    former = tmp_path / "44_linear.py"
    former.write_text("# mine\n", encoding="utf-8")
    assert folder.file_of(sheet, tmp_path) == former
    assert former not in [path for path, is_new in folder.write(marker(), tmp_path) if is_new]
    for name in ("exercises/44_linear.py", "Linear", "linear-backward", "4b"):
        assert marker().sheet(name) is sheet


def test_only_the_readers_folder_and_the_books_sheets_are_collected() -> None:
    assert pytest_items.is_reader_file(ROOT / "exercises" / "04_linear.py")
    assert not pytest_items.is_reader_file(ROOT / "scripts" / "exercises.py")
    assert not pytest_items.is_reader_file(ROOT / "tests" / "exercises" / "04_linear.py")
    assert pytest_items.is_sheet(BOOK / "exercises" / "linear.md")
    assert not pytest_items.is_sheet(BOOK / "04-linear.md")


def test_a_readers_file_has_an_item_for_each_exercise_at_its_line(tmp_path: Path) -> None:
    sheet, _ = found("linear-backward")
    list(folder.write(marker(), tmp_path))
    path = folder.file_of(sheet, tmp_path)
    items = list(pytest_items.reader_items(path))
    marked = [exercise for exercise in sheet.exercises if exercise.is_marked]
    assert [name for _, name, _ in items] == [exercise.name for exercise in marked]
    lines = path.read_text(encoding="utf-8").split("\n")
    for (line, name, check), exercise in zip(items, marked, strict=True):
        assert exercise.title in lines[line - 1]
        with pytest.raises(NotRun, match=rf"{name} .*: not written yet"):
            check()


def test_a_file_that_does_not_parse_is_refused_once(tmp_path: Path) -> None:
    sheet, _ = found("linear-backward")
    list(folder.write(marker(), tmp_path))
    path = folder.file_of(sheet, tmp_path)
    path.write_text(f"{path.read_text(encoding='utf-8')}\ndef f(:\n", encoding="utf-8")
    line = path.read_text(encoding="utf-8").count("\n")
    with pytest.raises(BookError, match=rf"{path.name}:{line}: this does not parse: invalid syntax"):
        list(pytest_items.reader_items(path))


# -- what comes in --------------------------------------------------------------------

COUNT = "linear_count = 45\nlinear_growth = 170 / 45\n"


def test_right_and_unanswered() -> None:
    verdicts = judged("linear-count", COUNT, "linear_count = None\nlinear_growth = None\n")
    assert [verdict.state for verdict in verdicts] == ["passed", "todo"]


BAD = {
    "does not parse": (
        f"{COUNT}\ndef broken(:\n",
        r"exercises/\d\d_linear\.py:4: this does not parse: invalid syntax",
    ),
    "a null character": (f"{COUNT}\0", r"_linear\.py:1: this does not parse"),
    "nested too deeply": (
        "x = " + "(" * 5000 + ")" * 5000,
        r"_linear\.py:1: this does not parse: too many nested",
    ),
    "renamed": (
        "linear_cuont = 45\nlinear_growth = 1.0\n",
        r"_linear\.py: linear_count is missing \(renamed to linear_cuont\?\); "
        rf"{re.escape(COMMAND)} --stub linear-count prints the stub",
    ),
    "empty": ("", rf"_linear\.py: linear_count is missing; {re.escape(COMMAND)} --stub linear-count"),
    "fails where it is defined": (
        "linear_growth = 1.0\nlinear_count = nothing\n",
        r"linear_count is not there, because this failed:\nexercises/\d\d_linear\.py:2: NameError: name "
        r"'nothing' is not defined\n    linear_count = nothing",
    ),
    "leaves": (
        "import sys\nsys.exit(0)\n",
        r"linear_count is not there, because this failed:\nexercises/\d\d_linear\.py:2: ",
    ),
    "asks": ("linear_count = input()\n", r"_linear\.py:1: EOFError"),
    "another type": (
        COUNT + "linear_count = 'many'\n",
        r"how many numbers: expected a number, got str: 'many'",
    ),
    "what is not run": (
        f"if __name__ == '__main__':\n    {COUNT}",
        r"_linear\.py:1: linear_count gets no value: the marker does not reach this line",
    ),
    "an annotation alone": ("linear_count: int\nlinear_growth = 1.0\n", r"linear_count is missing; "),
    "another power": ("linear_count, linear_growth = 10^6, 3.78\n", r"not 12; .*\nIn Python a power is \*\*"),
    "another power, of decimals": ("linear_count = 0.5^2\n", r"TypeError: .*\n.*\nIn Python a power is \*\*"),
    "an array asked with if": (
        "import numpy as np\nlinear_count = 1 if np.arange(2) else 2\n",
        r"ValueError: .*\n.*\nAn array has an answer for each of its elements",
    ),
    "a return outside": (
        f"{COUNT}return 3\n",
        r"_linear\.py:3: this does not parse: 'return' outside function",
    ),
    "tabs and spaces": (
        "def f():\n\tx = 1\n        return x\n",
        r"_linear\.py:3: this does not parse: inconsistent use of tabs",
    ),
    "an import that fails": (
        "import torchh\nlinear_count = torchh.count\n",
        r"linear_count is not there, because this failed:\n.*_linear\.py:1: ModuleNotFoundError: No module",
    ),
    "interrupts itself": (
        "linear_growth = 1.0\nraise KeyboardInterrupt\n",
        r"_linear\.py:2: KeyboardInterrupt",
    ),
    "its own assertion": (
        "class Odd(float):\n    def __float__(self):\n        assert False, 'odd'\n\n"
        "linear_count, linear_growth = Odd(3), 1.0\n",
        r"_linear\.py:3: AssertionError: odd",
    ),
    "a crash": (
        "import os, signal\n\nos.kill(os.getpid(), signal.SIGSEGV)\n",
        r"_linear\.py:3: it ended the process that ran it",
    ),
    "reads itself to death": (
        "def f(x):\n    return f(x)\n\nlinear_count = f(1)\n",
        r"_linear\.py:2: RecursionError: maximum recursion depth",
    ),
}


@functools.cache
def judged_bad() -> dict[str, Verdict]:
    """All in one run of the process that marks: it has a copy of itself for each."""
    return dict(zip(BAD, judged("linear-count", *(source for source, _ in BAD.values())), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_with_file_and_line(name: str) -> None:
    verdict = judged_bad()[name]
    assert verdict.state == "failed"
    assert re.search(BAD[name][1], verdict.message)
    assert "Traceback" not in verdict.message and "scripts/literate" not in verdict.message


def test_a_name_may_get_its_value_in_any_statement() -> None:
    sources = (
        "linear_count = 40\nlinear_count += 5\nlinear_growth = 170 / 45\n",
        "if True:\n    linear_count, linear_growth = 45, 170 / 45\n",
        f"linear_count = linear_growth = 0\nfor i in [1]:\n    linear_count = 45\n{COUNT}",
        f"import sys\n{COUNT}\nsys.stdout.close()\n",
    )
    assert [verdict.state for verdict in judged("linear-count", *sources)] == ["passed"] * 4


def test_what_failed_elsewhere_in_the_file_is_told_as_a_reason() -> None:
    head = "import torchh\nfrom backprop_core import Linear\n\n\nclass Linear(Linear):\n"
    said = told(
        "linear-backward", f"{head}    def backward(self, grad_output):\n        return torchh.tensor(1)\n"
    )
    assert re.search(r"_linear\.py:7: NameError: name 'torchh' is not defined", said)
    assert re.search(
        r"In the same file this failed, and may be the reason:\n.*_linear\.py:1: ModuleNotFoundError", said
    )


def test_a_file_of_an_editor_under_windows_is_read(tmp_path: Path) -> None:
    sheet, exercise = found("linear-count")
    text = reader_file(sheet, marker().core)[0]
    done = text.replace("linear_count = None", "linear_count = 45")
    done = done.replace("linear_growth = None", "linear_growth = 170 / 45")
    path = tmp_path / sheet.file
    answers = []
    for each in (text, done):
        path.write_bytes(b"\xef\xbb\xbf" + each.replace("\n", "\r\n").encode())
        answers += [one for one in folder.answers(marker(), sheet, tmp_path) if one.exercise is exercise]
        assert folder.course(marker(), tmp_path)[sheet.key] == (path, answers[-1].source)
    assert [verdict.state for verdict in marker().mark(answers)] == ["todo", "passed"]


def test_another_statement_that_fails_leaves_the_others_alone() -> None:
    (verdict,) = judged("linear-count", f"import numpy as np\nother = np.nothing\n{COUNT}raise ValueError\n")
    assert verdict.state == "passed"


def test_a_loop_without_end_is_ended_and_the_rest_is_marked() -> None:
    endless = "while True:\n    pass\n"
    first, second = judged("linear-count", endless, COUNT, seconds=1)
    assert re.fullmatch(
        r"exercises/\d\d_linear\.py:[12]: it has not ended after 1 s, the limit of this exercise",
        first.message,
    )
    assert second.state == "passed"


def test_the_process_stays_as_long_as_it_is_well() -> None:
    judged("linear-count", COUNT)
    first = marker()._process
    judged("linear-count", "while True:\n    pass\n", COUNT, seconds=0.5)
    judged("linear-count", "import os\nos._exit(3)\n")
    assert first and marker()._process is first
    os.killpg(first.child.pid, signal.SIGKILL)
    assert judged("linear-count", COUNT)[0].message == "it ended the process that ran it"
    assert judged("linear-count", COUNT)[0].state == "passed" and marker()._process is not first


def test_a_marker_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no numpy >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr("literate.exercises.marker.sys.executable", str(python))
    sheet, exercise = found("linear-count")
    answer = Answer(sheet, exercise, ROOT / "exercises" / sheet.file, COUNT)
    (verdict,) = Marker(marker().chapters).mark([answer])
    assert verdict.message == "the marker does not start:\n    no numpy"


def test_megabytes_are_not_shown() -> None:
    flood = "while True:\n    print('x' * 100)\n"
    first, second = judged("linear-count", flood, COUNT)
    assert re.match(
        r"exercises/\d\d_linear\.py:[12]: it printed more than 1,000,000 characters", first.message
    )
    assert len(first.message) < 1_000 and second.state == "passed"


def test_what_was_printed_is_shown_in_short() -> None:
    said = told(
        "linear-count", "print('my \\x1b[31mtrace')\nprint('y' * 5000)\nlinear_count = linear_growth = 1\n"
    )
    assert "It printed:\n    my ·[31mtrace\n    yyy" in said and len(said) < 1_000


def test_an_end_of_the_process_is_told_and_the_rest_is_marked() -> None:
    first, second = judged("linear-count", "import os\nos._exit(3)\n", COUNT)
    assert first.message == "it ended the process that ran it" and second.state == "passed"


def test_a_planted_mistake_that_nobody_touched_is_no_failure() -> None:
    _, exercise = found("linear-sequences")
    text = stub(exercise, marker().core)
    again = f"import numpy as np\n{text}\n\nclass Dense(Dense):\n    pass\n"
    untouched, added = judged("linear-sequences", f"import numpy as np\n{text}", again)
    assert untouched.state == "todo" and added.state == "failed"


@pytest.mark.parametrize("layout", ["line-length = 40", "indent-width = 2", 'format.indent-style = "tab"'])
def test_a_planted_mistake_in_another_layout_is_no_failure(layout: str) -> None:
    for name in ("linear-sequences", "optimizers-adamw", "normalisation-pictures"):
        text = f"import numpy as np\n{stub(found(name)[1], marker().core)}"
        command = [sys.executable, "-m", "ruff", "format", "-q", "--isolated", "--config", layout, "-"]
        shown = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
        assert shown != text
        untouched, begun = judged(name, shown, shown.replace("None", "48", 1))
        assert untouched == Verdict("todo")
        assert name != "normalisation-pictures" or begun.state == "failed"


def test_what_is_still_to_be_written_is_told_when_the_rest_is() -> None:
    _, exercise = found("activations-corner")
    bare = f"import numpy as np\n{stub(exercise, marker().core)}"
    right = "    def value_and_slope(self, x):\n        return np.maximum(x, 0), x > 0\n\n\n"
    done = bare.replace("class LeakyReLU", f"{right}class LeakyReLU")
    untouched, half = judged("activations-corner", bare, done)
    assert untouched == Verdict("todo")
    line = 1 + done[: done.index("NotImplementedError", done.index("class LeakyReLU"))].count("\n")
    assert half == Verdict(
        "todo", f"{exercise_file('activations-corner')}:{line}: this is still to be written"
    )


def exercise_file(name: str) -> str:
    return f"exercises/{found(name)[0].file}"


def test_a_file_may_import_another_beside_it(tmp_path: Path) -> None:
    sheet, exercise = found("linear-count")
    (tmp_path / "helpers.py").write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    (tmp_path / "json.py").write_text("raise ValueError\n", encoding="utf-8")
    source = "import json\nfrom helpers import double\nlinear_count, linear_growth = double(22.5), 170 / 45\n"
    (verdict,) = marker().mark([Answer(sheet, exercise, tmp_path / sheet.file, source)])
    assert verdict.state == "passed", verdict.message


def test_what_an_answer_leaves_behind_does_not_end_the_next() -> None:
    later = f"import os, threading\nthreading.Timer(0.05, os._exit, [3]).start()\n{COUNT}"
    slow = f"import time\ntime.sleep(0.5)\n{COUNT}"
    first, *others = judged("linear-count", later, slow, COUNT)
    assert first.state == "passed" and others[1].state == "passed"


def become(mark: str, running: bool) -> bool:
    """Whether the processes run (or are gone), or do within some seconds: that takes a moment."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        shown = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
        if running == any(mark in line and "sleep(60)" in line for line in shown.split("\n")):
            return True
        time.sleep(0.1)
    return False


def sleeper(mark: str) -> str:
    arguments = f"[sys.executable, '-c', 'import time; time.sleep(60)', '{mark}']"
    return f"import subprocess, sys\nwaits = subprocess.Popen({arguments})\n"


def test_processes_that_an_answer_starts_are_ended() -> None:
    mark = f"sleeping-{os.getpid()}"
    judged("linear-count", f"{sleeper(mark)}{COUNT}")
    assert become(mark, running=False)


def test_they_are_ended_though_nobody_has_heard_of_them_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may come before the marker has read which process runs the answer."""
    mark = f"unheard-{os.getpid()}"

    def interrupted(self: object, answer: object) -> None:
        assert become(mark, running=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{exercises.Marker.__module__}._Process.judged", interrupted)
    with pytest.raises(KeyboardInterrupt):
        judged("linear-count", f"{sleeper(mark)}waits.wait()\n{COUNT}")
    assert become(mark, running=False)


def test_a_method_that_is_gone_or_renamed() -> None:
    head = "from backprop_core import Linear\n\n\nclass Linear(Linear):\n"
    said = told(
        "linear-backward", f"{head}    def backwards(self, grad_output):\n        return grad_output\n"
    )
    assert re.search(
        r"_linear\.py:4: Linear has no backward of its own \(renamed to backwards\?\); .*python scripts", said
    )
    assert "Linear has no backward of its own; " in told("linear-backward", f"{head}    pass\n")


def test_the_books_own_answer_is_out_of_reach() -> None:
    source = (
        "from backprop_core import Linear\n\n\nclass Linear(Linear):\n"
        "    def backward(self, grad_output):\n        return super().backward(grad_output)\n"
    )
    assert re.search(r"Linear\(3, 2\) has no backward", judged("linear-backward", source)[0].message)
    patched = "import sys\nsys.modules['book'].gradient_descent = print\n"
    one = "def one_step_rate(curvature):\n    return 1 / curvature\n"
    assert judged("slope-one-step", f"{patched}{one}")[0].state == "passed"  # it has changed nothing
    later = source.replace("super().backward", "book.Linear.backward")
    assert judged("linear-backward", later)[0].state == "failed"


RIGHT_OTHERWISE = {  # right answers in another style than the book's
    "a number of NumPy's": (
        "checking-best",
        "checking_best_two_sided = np.False_\nchecking_best_power = np.arange(-12, 0)[7]\n",
    ),
    "one class that uses another, of which the book's is imported further down": (
        "activations-saturate",
        """from backprop_core import Sigmoid, Tanh

class Sigmoid(Sigmoid):
    def value_and_slope(self, x):
        e = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, e) / (1 + e), e / (1 + e) ** 2

class Tanh(Tanh):
    def value_and_slope(self, x):
        s, slope = Sigmoid().value_and_slope(2 * x)
        return 2 * s - 1, 4 * slope

from backprop_core import Sigmoid, SiLU
""",
    ),
    "the module's optimizer": (
        "network-loop",
        """from backprop_core import SGD, DataLoader

def train(net, x, y, lr, epochs, rng, batch=32):
    optimizer = SGD(net.parameters(), lr=lr)
    loader = DataLoader(x, y, batch_size=batch, rng=rng)
    for inputs, targets in (pair for _ in range(epochs) for pair in loader):
        net.loss(inputs, targets)
        net.zero_grad()
        net.backward()
        optimizer.step()
""",
    ),
    "the module's classes, asked for": (
        "network-tie",
        """from backprop_core import Linear

def break_the_tie(net, rng):
    for layer in net.layers:
        if isinstance(layer, Linear):
            layer.weight.data += 0.1 * rng.normal(size=layer.weight.shape)
""",
    ),
    "an array of pairs": (
        "clinic-between",
        """def epoch(net, optimizer, batches, x_val, y_val):
    def losses(x, y):
        check, loss = net.loss(x_val, y_val), net.loss(x, y)
        optimizer.zero_grad()
        net.backward()
        optimizer.step()
        return loss, check

    return np.array([losses(x, y) for x, y in batches])
""",
    ),
    "helpers that are called like functions of Python": (
        "network-equal",
        """from numpy import *

def isinstance(answer):
    return "mine"

network_equal_first_is_enough, network_equal_last_may = False, True
""",
    ),
    "with Kronecker's delta": (
        "activations-temperature",
        r"""activations_temperature = r"\frac{\partial L}{\partial z_j} =
\frac1T\sum_i \frac{\partial L}{\partial p_i}\,p_i\,(\delta_{ij}-p_j)"
""".replace("=\n", "= "),
    ),
}


@pytest.mark.parametrize("name", RIGHT_OTHERWISE)
def test_a_right_answer_in_another_style_is_right(name: str) -> None:
    exercise, source = RIGHT_OTHERWISE[name]
    (verdict,) = judged(exercise, f"import numpy as np\n\n{source}")
    assert (verdict.state, verdict.message) == ("passed", "")


def test_an_error_is_told_with_its_notes() -> None:
    said = told("linear-count", "error = ValueError('first')\nerror.add_note('second')\nraise error\n")
    assert re.search(r"_linear\.py:3: ValueError: first\n *second", said)


def test_an_import_further_down_does_not_take_an_answer_away() -> None:
    _, exercise = found("linear-backward")
    right = variants.solution(marker(), exercise)
    assert judged("linear-backward", f"{right}\n\nfrom backprop_core import Linear\n")[0].state == "passed"


def test_a_plain_text_of_latex_is_noticed() -> None:
    said = told("linear-tied", 'linear_tied = "\\frac{1}{2}"\n')
    assert re.search(r'_linear\.py:1: write r"…", with an r: without it', said)
    assert re.search(r"_linear\.py:1: linear_tied must be a text", told("linear-tied", "linear_tied = 3\n"))


def test_a_pencil_answer_may_be_written_otherwise() -> None:
    first = r"\sum_n X_{ni}\sum_k \frac{\partial L}{\partial Y_{nk}}W_{kh}"
    second = r"\sum_n\frac{\partial L}{\partial Y_{ni}}\sum_k X_{nk}W_{kh}"
    other = rf"linear_tied = r'\frac{{\partial L}}{{\partial W_{{ih}}}} = {first} + {second}'"
    assert judged("linear-tied", other)[0] == Verdict("passed")


PENCIL = {  # what else readers write, and what they are told; "" where it is right
    "in dollars": ("slope-height", r"$$y_t=(1-\eta a)^{2t} y_0$$", ""),
    "in brackets": ("slope-height", r"\[ y_t = \left|1-\eta a\right|^{2t} y_0 \]", ""),
    "an environment": (
        "slope-height",
        r"\begin{equation*} y_t := |1-\eta a|^{2t} y_0 \label{x} \end{equation*}",
        "",
    ),
    "a slash": (
        "chain-rule-residual",
        r"\partial L / \partial x_{i} = (1+f^{\prime}(x_i)) \partial L/\partial y_i",
        "",
    ),
    "intercal": (
        "linear-tied",
        r"\frac{\partial L}{\partial W} = (X^\intercal\frac{\partial L}{\partial Y}"
        r" + (\frac{\partial L}{\partial Y})^\intercal X)W",
        "",
    ),
    "a prime": (
        "linear-tied",
        r"\frac{\partial L}{\partial W} = X'\frac{\partial L}{\partial Y}W"
        r" + (\frac{\partial L}{\partial Y})'XW",
        "",
    ),
    "a sign in upright letters": (
        "regularisation-elastic",
        r"\frac{\partial R}{\partial w_i} = \lambda w_i + \kappa\,\text{sign}(w_i)",
        "",
    ),
    "over": ("clinic-sigmoid", r"{\partial L \over \partial z} = (p-t)p(1-p)", ""),
    "a derivative with a prime": (
        "clinic-sigmoid",
        r"L'(z) = (p-t)p(1-p)",
        r"the left side is L'(z), and must be \frac{\partial L}{\partial z}",
    ),
    "no left side": (
        "slope-height",
        r"(1-\eta a)^{2t} y_0",
        "there is no = in it: write y_t =, and behind it",
    ),
    "no left side, with brackets that grow": (
        "slope-height",
        r"\left((1-\eta a)^t\right)^2 y_0",
        "there is no = in it: write y_t =, and behind it",
    ),
    "a comment": ("diagnose-pairs", "% d = 2v", "cannot be read: nothing but layout"),
    "about": ("diagnose-pairs", r"d \approx 2.01 v", "it has ≈ where = belongs"),
    "at least": ("diagnose-pairs", r"d \ge v", "cannot be read: only equations are checked"),
    "another letter": ("diagnose-pairs", "d = 2V", "V is not one of the symbols here, N, y, v, d (it has v)"),
    "the question": (
        "diagnose-pairs",
        r"d = \frac{1}{N^2}\sum_i\sum_j (y_i-y_j)^2",
        "it holds, and can be written without y",
    ),
    "a sum": (
        "optimizers-velocity",
        r"v_t = \sum_{k=0}^{t-1}\mu^k g",
        r"it holds, and can be written without \sum",
    ),
    "another side": ("diagnose-pairs", r"v = \frac{d}{2}", "the left side is v, and must be d"),
    "an operator": (
        "clinic-sigmoid",
        r"\partial_z L = p",
        r"the left side is \partial_z L, and must be \frac{\partial L}{\partial z}",
    ),
}


@functools.cache
def judged_pencil() -> dict[str, Verdict]:
    answers = []
    for name, tex, _ in PENCIL.values():
        sheet, exercise = found(name)
        answers.append(
            Answer(sheet, exercise, ROOT / "exercises" / sheet.file, f'{exercise.variable} = r"{tex}"')
        )
    return dict(zip(PENCIL, marker().mark(answers), strict=True))


@pytest.mark.parametrize("name", PENCIL)
def test_latex_of_every_hand_is_read_and_told_what_it_lacks(name: str) -> None:
    verdict, wanted = judged_pencil()[name], PENCIL[name][2]
    assert verdict.state == ("failed" if wanted else "passed"), verdict.message
    assert wanted in verdict.message and "give the display" not in verdict.message


RETURNED = {
    "nothing": ("pass", "one_step_rate returned None: is there a return?"),
    "what is printed": ("print(1 / curvature)", "is there a return?\nIt printed:\n    10.0"),
    "a text": (
        "return '1/c'",
        "one_step_rate returned str: '1/c', which cannot be used here: ValueError: gradient_descent:",
    ),
    "a list": ("return [1, 2, 3]", "one_step_rate returned list: [1, 2, 3], which cannot be used here: "),
    "what was computed from nothing": (
        "return 1 / print()",
        "here is None: a part that is left out, or a missing return where it was made?",
    ),
    "a list times a number": ("return (1, 2) * 0.5", "A list or a tuple is no array: take its parts"),
}


@functools.cache
def judged_returned() -> dict[str, Verdict]:
    head = "def one_step_rate(curvature):\n    "
    sources = [f"{head}{body}\n" for body, _ in RETURNED.values()]
    return dict(zip(RETURNED, judged("slope-one-step", *sources), strict=True))


@pytest.mark.parametrize("name", RETURNED)
def test_what_an_answer_returned_is_told(name: str) -> None:
    verdict = judged_returned()[name]
    assert verdict.state == "failed" and RETURNED[name][1] in verdict.message
    assert "_UFunc" not in verdict.message and "Traceback" not in verdict.message


@pytest.mark.parametrize("body", ["sizes.reverse()\n    return cost_from_input(sizes)", "sizes.pop()"])
def test_what_is_done_to_the_callers_list_is_told(body: str) -> None:
    _, exercise = found("chain-rule-cost")
    given = variants.solution(marker(), exercise).partition("def cost_from_loss")[0]
    verdict = judged("chain-rule-cost", f"{given}def cost_from_loss(sizes):\n    {body}\n")[0]
    assert verdict.state == "failed" and "cost_from_loss changed sizes in place" in verdict.message


def test_what_is_done_to_the_callers_array_is_told_and_nothing_of_rounding() -> None:
    head = "import numpy as np\n\n\ndef gradient_descent(gradient, x, lr, steps):\n    path = [np.array(x)]\n"
    loop = "    for _ in range(steps):\n        path.append(path[-1] - lr * gradient(path[-1]))\n"
    for line, wanted in (("x += 1", "gradient_descent changed x in place"), ("x[...] = x + 1e-12", "")):
        verdict = judged("slope-descent", f"{head}    {line}\n{loop}    return np.array(path)\n")[0]
        assert wanted in verdict.message and (verdict.state == "failed") == bool(wanted), verdict.message


def test_a_missing_return_is_told_before_what_comes_of_it() -> None:
    said = told("clinic-still", "def still(net, step):\n    step()\n")
    assert said.startswith("still returned None: is there a return?\nexpected a list of names")
    method = "from backprop_core import Activation\n\n\nclass Mish(Activation):\n"
    said = told("activations-mish", f"{method}    def value_and_slope(self, x):\n        x * 2\n")
    assert said.startswith("expected a pair, f(x) and f'(x), from Mish, got None: is there a return?")


def test_a_number_that_is_only_printed_is_no_answer() -> None:
    printed = "linear_count = print(45)\nlinear_growth = None\n"
    said = told("linear-count", printed)
    assert re.search(
        r"_linear\.py:1: linear_count is None: in what is called there, is there a return\?", said
    )
    assert "It printed:\n    45" in said


def test_a_method_that_need_not_return_may_return_nothing() -> None:
    _, exercise = found("network-loop")
    right = variants.solution(marker(), exercise)
    wrong_rate = right.replace("lr * p.grad", "2 * lr * p.grad")
    assert "is there a return?" not in told("network-loop", f"import numpy as np\n{wrong_rate}")


def test_every_function_that_returns_in_the_solution_is_known() -> None:
    assert marker()._returning(found("linear-backward")[1]) == ["Linear.backward"]
    assert marker()._returning(found("slope-two")[1]) == ["walk", "catches"]
    assert marker()._returning(found("network-loop")[1]) == []
    assert marker()._returning(found("saving-walk")[1]) == ["bookmark"]
    own = marker()._returning(found("tape-own")[1])
    assert own == ["Number.__add__", "Number.__mul__"]


# -- what is said ------------------------------------------------------------------------

RIGHT = np.array([[1.0, -2.0, 0.0], [0.5, 3.0, 4.0], [2.0, 0.0, -1.0]])
PATTERNS = {
    "right": (RIGHT, ""),
    "nothing": (None, "expected an array, got None: is there a return?"),
    "a text": ("no", "expected numbers, got str: 'no'"),
    "an object": ([1, object()], "expected numbers, got list"),
    "complex numbers": (RIGHT + 0j, "expected real numbers, got complex ones: array(["),
    "twice": (2 * RIGHT, "at [1, 2] expected 4, got 8; off by the factor 2 everywhere"),
    "the mean": (
        RIGHT / 5,
        "off by the factor 0.2 everywhere, which is 1/N with N = 5: a mean where a sum belongs",
    ),
    "the sum": (RIGHT * 5, "off by the factor 5 everywhere, which is N = 5: a sum where a mean belongs"),
    "the sign": (-RIGHT, "the sign is wrong everywhere"),
    "some signs": (np.abs(RIGHT), "the sign is wrong in 2 of 9 elements"),
    "transposed": (RIGHT.T, "right, but transposed"),
    "backwards": (RIGHT[::-1], "right, but axis 0 runs backwards"),
    "a constant": (RIGHT + 0.5, "off by 0.5 everywhere: a term too many, or one that is missing"),
    "no mask": (
        np.where(RIGHT == 0, 7, RIGHT),
        "not zero where nothing can flow (2 of 9 elements): the mask is missing",
    ),
    "a mask too many": (np.where(RIGHT > 2, 0, RIGHT), "zero in 2 of 9 elements where something flows"),
    "nil": (0 * RIGHT, "all zero"),
    "one number": (np.full((3, 3), 7.0), "the same everywhere: summed over the wrong axis?"),
    "shuffled": (
        RIGHT.ravel()[[1, 0, 2, 3, 4, 5, 6, 8, 7]].reshape(3, 3),
        "the right numbers in the wrong order",
    ),
    "one wrong": (
        RIGHT + np.eye(3)[0][:, None] * np.eye(3)[1],
        "at [0, 1] expected -2, got -1; wrong in 1 of 9 elements",
    ),
    "not a number": (
        np.where(RIGHT == 4, np.nan, RIGHT),
        "not a finite number at [1, 2]: got nan, expected 4",
    ),
    "unsummed": (
        np.stack([RIGHT - 1, np.ones((3, 3))]),
        "expected the shape (3, 3), got (2, 3, 3); right but for the sum over the batch",
    ),
    "unsummed behind": (np.stack([RIGHT - 1, np.ones((3, 3))], axis=2), "right but for the sum over axis 2"),
    "off in the last digits": (RIGHT * (1 + 5e-6), "at [1, 2] expected 4, got 4.00002"),
    "their mean": (RIGHT.mean(), "got (); that is the mean of what is wanted, taken too early"),
    "flat": (RIGHT.ravel(), "expected the shape (3, 3), got (9,); the right numbers in another shape"),
    "a slip": (RIGHT**2, "the squares of what is wanted"),
}


@pytest.mark.parametrize("got, message", PATTERNS.values(), ids=PATTERNS)
def test_patterns(got: object, message: str) -> None:
    said = patterns.wrong(got, RIGHT, 5, {"the squares of what is wanted": RIGHT**2})
    assert said == message if not message else message in said


class Square:
    """A layer with a weight, right or with a slip."""

    def __init__(self, slip: str = "") -> None:
        self.slip = slip
        self.weight = Weight()

    def named_parameters(self) -> list[tuple[str, Weight]]:
        return [("weight", self.weight)]

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        return x**2 * self.weight.data

    def backward(self, grad_output: np.ndarray) -> np.ndarray | None:
        share = (grad_output * self.x**2).sum(axis=0)
        if self.slip == "elsewhere":
            self.dw = share
        elif self.slip == "set":
            self.weight.grad[...] = share
        elif self.slip == "first":
            self.weight.grad += len(self.x) * (grad_output * self.x**2)[0]
        else:
            self.weight.grad += share
        if self.slip == "for five" and len(self.x) > 1:
            self.weight.grad += share * (len(self.x) / 5 - 1)
        if self.slip == "moves":
            self.weight.data -= 0.1
        if self.slip == "input":
            self.x *= 2
        if self.slip == "in place":
            grad_output *= 2
        found = 2 * grad_output * self.x * self.weight.data
        if self.slip == "once":
            self.x = 0 * self.x
        return None if self.slip == "no return" else found


class Weight:
    def __init__(self) -> None:
        self.data, self.grad = np.array([0.5, -1.0]), np.zeros(2)


@pytest.mark.parametrize(
    "slip, message",
    {
        "set": "weight.grad was overwritten: backward adds to it (+=)",
        "first": "With one example it is right; it is wrong with N = 5",
        "moves": "backward changed weight.data: only an optimizer moves parameters",
        "input": "the input was changed in place",
        "in place": "backward changed grad_output in place",
        "elsewhere": "nothing was added to weight.grad: backward adds to it (+=), and returns",
        "no return": "expected an array, got None: is there a return?\nRight so far: weight.grad",
        "for five": "With 5 examples it is right; it is wrong with 4",
        "once": "a second backward after the same forward differs: the first one changed what was kept",
    }.items(),
)
def test_gradients_say_what_is_wrong(slip: str, message: str) -> None:
    gradients(Square, Square, (2,), {})
    with pytest.raises(Wrong, match=re.escape(message)):
        gradients(lambda: Square(slip), Square, (2,), {})


def test_numbers_and_claims() -> None:
    number(2.001, 2.0, "x")
    says(True, True, "it holds")
    for got, message in (
        (2.1, "x: not 2.1; that is too large"),
        (-2.0, "x: not -2; the sign is wrong"),
        ("2 m", "got str: '2 m'; write it without quotes, unit or words"),
        ((2, 5), "got tuple: (2, 5); decimals take a point, and thousands no comma"),
        (0.001, "too small by a factor of more than ten"),
        (float("nan"), "x: not nan; that is no number that can be compared"),
        (True, "expected a number, got bool"),
        (None, "x: expected a number, got None: is it still to be filled in, or is there no return?"),
        (np.array([2.0]), "expected a number, got ndarray"),
        (4.0, "x: not 4; the root is missing"),
    ):
        with pytest.raises(Wrong, match=re.escape(message)):
            number(got, 2.0, "x", slips={"the root is missing": 4.0})
    with pytest.raises(Wrong, match="it holds: not False; look again"):
        says(False, True, "it holds", "look again")
    with pytest.raises(Wrong, match="expected True or False, got 1"):
        says(1, True, "it holds")
    with pytest.raises(Wrong, match="expected True or False, got None: is it still to be filled in"):
        says(None, True, "it holds")
    for right in (np.array(2.0), np.float32(2), Fraction(2), Decimal("2.00")):
        number(right, 2.0, "x")
    number(1e-12, 0.0, "x")
    for nothing in (float("nan"), 1e-3):
        with pytest.raises(Wrong, match=r"x: not (nan|0\.001); "):
            number(nothing, 0.0, "x")
    with pytest.raises(Wrong, match=r"x: not 3\.8; right as far as it goes, but give more digits"):
        number(3.8, 170 / 45, "x", within=0.002)
    with pytest.raises(Wrong, match=r"x: not -0\.2; that is too large, its sign left aside"):
        number(-0.2, -0.08, "x")
    says(np.array(True), True, "it holds")


def test_several_values_may_come_in_a_tuple_a_list_or_an_array() -> None:
    for got in ((1, 2), [1, 2], np.array([1, 2])):
        assert parts(got, 2, "two weights") == [1, 2]
    for wrong_one, message in (
        (None, "expected two weights, got None: is there a return?"),
        ((1, 2, 3), "expected two weights, got a tuple of 3"),
        ("ab", "expected two weights, got str: 'ab'"),
        (3.0, "expected two weights, got float: 3.0"),
    ):
        with pytest.raises(Wrong, match=re.escape(message)):
            parts(wrong_one, 2, "two weights")


def test_the_given_generator_must_be_drawn_from() -> None:
    draws(lambda rng: rng.normal(size=3), "the weights")
    draws(lambda rng: [1.0], "the weights", is_free=True)
    own = np.random.default_rng(0)
    with pytest.raises(Wrong, match="the weights: the same generator, asked twice, gives two results"):
        draws(lambda rng: own.normal(size=3), "the weights")
    with pytest.raises(Wrong, match="the weights: another generator gives the same"):
        draws(lambda rng: np.random.default_rng(0).normal(size=3), "the weights")


class Exponential:
    """An activation, right or with a slip."""

    def __init__(self, slip: str = "") -> None:
        self.slip = slip

    def value_and_slope(self, x: np.ndarray) -> object:
        y = np.exp(-np.abs(x))
        if self.slip == "overflows":
            y = np.where(x > 0, np.exp(-x), np.exp(np.minimum(x, 0)))
        if self.slip == "cut":
            y = np.where((np.abs(x) > 5) & (np.abs(x) < 500), 0.0, y)
        slope = -np.sign(x) * y
        if self.slip == "flat" and x.ndim > 1:
            y = y.ravel()
        return [y, slope] if self.slip == "a list" else (y, slope)


def test_an_activation_is_asked_between_near_and_far_and_may_not_overflow() -> None:
    labels = "eq:sigmoid", "eq:sigmoid-slope"
    for fair in ("", "a list"):
        slopes(Exponential(fair), Exponential(), labels)
    with pytest.raises(Wrong, match=r"the value farther out at x = .*expected 0\.002479, got 0"):
        slopes(Exponential("cut"), Exponential(), labels)
    with pytest.raises(Wrong, match=r"expected the shape \(2, 6\), got \(12,\)"):
        slopes(Exponential("flat"), Exponential(), labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning, match="overflow encountered in exp"):
            slopes(Exponential("overflows"), Exponential(), labels)


# -- the command ---------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's folder elsewhere, in which one exercise is done and one is wrong."""
    monkeypatch.setattr(exercises, "Marker", lambda chapters: marker())
    for function in (folder.file_of, folder.write, folder.answers, folder.course):
        monkeypatch.setattr(function, "__defaults__", (tmp_path / "exercises",))
    monkeypatch.setattr(folder, "FILES", tmp_path / "exercises")
    list(folder.write(marker()))
    path = folder.file_of(found("linear-count")[0])
    text = path.read_text(encoding="utf-8")
    text = text.replace("linear_count = None", "linear_count = 45").replace(
        "linear_growth = None", "linear_growth = 170 / 45"
    )
    path.write_text(text.replace("linear_votes_holds = None", "linear_votes_holds = True"), encoding="utf-8")
    return path


def test_make_exercises_says_how_far_they_are(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exercises.main([]) == 0
    out = capsys.readouterr().out
    count = len(marker().sheets)
    assert f"0 files written, {count} kept as they were" in out
    (line,) = [line for line in out.split("\n") if str(mine) in line]
    marked = sum(exercise.is_marked for exercise in found("linear-count")[0].exercises)
    assert f" 1 of {marked} " in line and "✓" in line and "✗" in line and "·" in line
    assert re.search(r"█?░+ 1 of \d+ exercises", out)
    assert re.search(r"\n     0 of \d+ equations hold in your code\n", out)
    assert re.search(rf"1 answer does not hold yet; {re.escape(COMMAND)} linear says why", out)


def test_one_chapter_says_everything(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exercises.main(["linear"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^✓ \w+ linear-count · Predict the number", out, re.M)
    assert re.search(r"^✗ \w+ linear-votes · Experiment.*\n    the claim holds: not True;", out, re.M)
    assert re.search(r"^· \w+ linear-backward · Write it", out, re.M)


def test_watching_marks_again_when_the_file_is_saved(
    mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_: float) -> None:
        steps.append(1)
        if len(steps) == 2:
            mine.write_text("def broken(:\n", encoding="utf-8")
        if len(steps) == 4:
            raise KeyboardInterrupt

    steps: list[int] = []
    monkeypatch.setattr(exercises.time, "sleep", sleep)
    assert exercises.main(["--watch", "linear"]) == 130
    out = capsys.readouterr().out
    assert out.count("to be saved; Ctrl-C ends it.") == 2 and f"{mine}:1: this does not parse" in out


def test_a_stub_can_be_had_again(capsys: pytest.CaptureFixture[str], mine: Path) -> None:
    sheet, _ = found("linear-backward")
    assert exercises.main(["--stub", "linear-backward"]) == 0
    assert capsys.readouterr().out.rstrip() in reader_file(sheet, marker().core)[0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nothing"], "nothing: no chapter with exercises is called so; there are "),
        (["--stub", "nothing"], "nothing: no exercise has this name; there are "),
        (["--stub", "linear-backwards"], "no exercise has this name: did you mean linear-backward?\n"),
        (["--stub", "Linear_backward"], "no exercise has this name: did you mean linear-backward?\n"),
        (["lineer"], "lineer: no chapter with exercises is called so: did you mean linear?; there are "),
        (["chainrule"], "no chapter with exercises is called so: did you mean chain-rule?; there are "),
        (["--watch"], "name the chapter to watch"),
    ],
)
def test_the_command_refuses(
    arguments: list[str], message: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exercises.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_told(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine.write_bytes(b"a = 1\nb = '\xff'\n")
    assert exercises.main(["linear"]) == 1
    assert f"{mine}:2: not UTF-8" in capsys.readouterr().err
    assert mine.read_bytes() == b"a = 1\nb = '\xff'\n"


def test_a_folder_that_cannot_be_is_told(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in mine.parent.iterdir():
        path.unlink()
    mine.parent.rmdir()
    mine.parent.write_text("a file", encoding="utf-8")
    assert exercises.main([]) == 1
    err = capsys.readouterr().err
    assert f"{mine.parent}/" in err and "cannot be written" in err and "Traceback" not in err
    assert mine.parent.read_text(encoding="utf-8") == "a file"


def test_ctrl_c_ends_the_marking_and_what_it_has_started(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = f"waiting-{os.getpid()}"
    interrupt = f"os.kill({os.getpid()}, signal.SIGALRM)"  # some shells have their jobs ignore SIGINT
    mine.write_text(f"import os, signal\n{sleeper(mark)}{interrupt}\nwaits.wait()\n", encoding="utf-8")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        assert exercises.main(["linear"]) == 130
    finally:
        signal.signal(signal.SIGALRM, before)
    assert capsys.readouterr().err == ""
    assert become(mark, running=False)


def test_every_part_i_backward_is_asked_for() -> None:
    """All gradients of the module's Part I are written by the reader."""
    asked = {
        name for sheet in read_sheets(marker().chapters) for one in sheet.exercises for name in one.blanks
    }
    core_names = {
        f"{node.name}.{method.name}"
        for node in marker().core.named.values()
        for method in getattr(node, "body", [])
        if getattr(method, "name", "") in ("backward", "value_and_slope")
    }
    part_one = {
        name
        for name in core_names
        for chapter in marker().chapters
        if 1 <= chapter.number <= 7
        for cell in chapter.core
        if re.search(rf"(?m)^class {name.split('.')[0]}\(", cell.source)
    }
    given = {"Layer.backward", "Activation.value_and_slope", "Loss.value_and_slope"}  # which others fill in
    guard = {"ReLU.backward"}  # Activation.backward once more, where the gradient may be infinite
    assert part_one - asked <= given | guard


def strange_numbers(sheet: Chapter) -> list[str]:
    """Numbers, settings and lines of a task, its hint and its remarks that no code of that exercise has."""
    known, lines = listed(), prose(sheet)
    found = []
    for section in set(sheet.sections):
        code = "\n".join(one.source for one in sheet.cells if sheet.sections[one.place.line - 1] == section)
        numbers = {0.0, 1.0, *map(float, TYPED.findall(re.sub(r"(?<=\d)_(?=\d)", "", code)))}
        numbers |= {-float(figure) for figure in re.findall(r"-\s?(\d+(?:\.\d+)?)", code)}
        for text in (text for at, text in zip(sheet.sections, lines, strict=True) if at == section):
            for figure in NUMBER.findall(QUOTED.sub("", text)):
                if float(figure.replace(",", "")) not in numbers:
                    found.append(f"{sheet.path.stem}: {figure} in an exercise")
            for left, right in re.findall(r"\$([^$=<>]+)=([^$=<>]+)\$", text):
                value = number_of(right) if SYMBOL.fullmatch(left.strip()) else None
                if value is not None and not any(math.isclose(value, one) for one in numbers):
                    found.append(f"{sheet.path.stem}: {left}={right} in an exercise")
            found += [f"{sheet.path.stem}: {line} in an exercise" for line in foreign_lines(text, code)]
    return [one for one in found if one not in known]


def foreign_lines(text: str, code: str) -> Iterator[str]:
    """Assignments, calculations and calls in the backticks of a hint that are not in the code."""
    plain = re.sub(r"\s", "", code)
    for line in re.findall(r"`([^`]+)`", text) if text.startswith("    ") else ():  # a hint
        with contextlib.suppress(SyntaxError):
            node = ast.parse(line).body[0]
            does = isinstance(getattr(node, "value", None), ast.BinOp | ast.Compare | ast.Call)
            if (does or isinstance(node, ast.Assign)) and re.sub(r"\s", "", line) not in plain:
                yield line


@pytest.mark.parametrize("sheet", read_sheets(read_book()), ids=lambda sheet: sheet.key)
def test_numbers_and_links_of_an_exercise(sheet: Sheet) -> None:
    assert strange_numbers(sheet.text) == [], (
        "its code has no such number; book/unbound.toml lists exceptions"
    )
    assert not list(link_findings(sheet.text))


def test_the_list_has_no_number_that_no_exercise_says() -> None:
    texts = {sheet.key: "\n".join(prose(sheet.text)) for sheet in read_sheets(read_book())}
    exceptions = [one.removesuffix(" in an exercise").split(": ") for one in listed() if "an exercise" in one]
    assert exceptions and [(key, said) for key, said in exceptions if said not in texts[key]] == []


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("linear", "A layer takes 8 features", "A layer takes 9 features"),
        ("attention", "a sum of 64 products", "a sum of 32 products"),
        ("depth", "with the road, and 0.1 without", "with the road, and 0.9 without"),
        ("linear", "Take 20,000 examples", "Take 10,000 examples"),
        ("recurrence", "$u=0.5$", "$u=0.4$"),
        ("chain-rule", "$b=-4$", "$b=-3$"),
        ("checking", "$h=10^{-3}$", "$h=10^{-4}$"),
        ("recurrence", "`later = U @ delta`", "`later = U.T @ delta`"),
        ("chain-rule", "`grad_output * x`", "`grad_output + x`"),
        ("training", "`steps - warm`", "`warm - steps`"),
        ("linear", "`x.reshape(-1, x.shape[-1])`", "`x.reshape(x.shape[-1], -1)`"),
    ],
)
def test_another_number_of_an_exercise_is_found(key: str, right: str, wrong: str) -> None:
    (sheet,) = (one.text for one in read_sheets(read_book()) if one.key == key)
    assert right in sheet.text
    assert strange_numbers(parse_sheet(sheet.text.replace(right, wrong), sheet.path, sheet.number))


@pytest.mark.parametrize("wrapper", ["staticmethod", "classmethod"])
def test_a_method_may_do_without_self(wrapper: str) -> None:
    first = "" if wrapper == "staticmethod" else "cls, "
    source = f"""
import numpy as np
from backprop_core import Activation


class Mish(Activation):
    @{wrapper}
    def value_and_slope({first}x):
        t = np.tanh(np.logaddexp(0, x))
        logistic = np.exp(-np.logaddexp(0, -x))
        return x * t, t + x * (1 - t * t) * logistic
"""
    (verdict,) = judged("activations-mish", source)
    assert verdict.state == "passed", verdict.message
