"""What ``pytest book/NN-name.md`` says, above all when a chapter is wrong."""

from __future__ import annotations

import locale
import os
import sys
import time
from collections.abc import Callable

import matplotlib.pyplot  # not first inside pytester, which forgets what was imported there
import numpy as np
import pytest

from literate.prove.session import Session, _as_before
from tests.books import chapter_text

pytest_plugins = ["pytester"]

HEADER = chapter_text("", imports="IMPORTS").removesuffix("\n")
BODY = HEADER.count("\n")  # the lines above the body of a chapter

HALF = """
```python tags=["core"] name="half"
def half(x):
    return x / 2
```
"""

Run = Callable[..., pytest.RunResult]
Failure = Callable[..., str]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Write a folder of chapters, one a body, and test the last one."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(
        *bodies: str, imports: str = "import numpy as np", select: str = "", option: str = "-v"
    ) -> pytest.RunResult:
        for number, body in enumerate(bodies, 1):
            header = HEADER.replace("IMPORTS", imports if number == len(bodies) else "import numpy as np")
            pytester.path.joinpath(f"{number:02}-sample.md").write_text(header + body, encoding="utf-8")
        plugin, selected = "-pliterate.prove.pytest_plugin", f"{number:02}-sample.md{select}"
        return pytester.runpytest_inprocess(plugin, option, selected)

    return run


@pytest.fixture
def failure(run: Run, pytester: pytest.Pytester) -> Failure:
    """What is said about the one claim that fails, paths relative to the folder."""

    def failure(*bodies: str, **how: str) -> str:
        result = run(*bodies, **how)
        assert result.parseoutcomes()["failed"] == 1
        report = result.stdout.str().split("= FAILURES =")[1].split("= short test summary info =")[0]
        return "\n".join(report.replace(f"{pytester.path}/", "").splitlines()[2:-1])

    return failure


def at(line: int, chapter: int = 1) -> str:
    """A place, by the line of the chapter's body."""
    return f"{chapter:02}-sample.md:{BODY + line}"


COMPLETE = '''
```python tags=["core"] name="half"
class Half:
    """Doctests in every docstring.

    >>> Half().of(1)
    0.5
    """

    def of(self, x):
        """
        >>> Half().of(2)
        1.0
        """
        return x / 2
```

A half is 0.5<!-- = Half().of(1) -->.

```python raises="ZeroDivisionError: zero"
1 / 0
```

```pycon
>>> Half().of(4)
2.0
```

```python
def third(x):
    """
    >>> third(3)
    1.0
    """
    return x / 3


third(6)
```
'''


def test_one_item_for_each_claim_in_reading_order(run: Run) -> None:
    lines = run(COMPLETE).stdout.lines
    assert [line.split("::")[1].split("  ")[0] for line in lines if "::" in line] == [
        f"cell at line {BODY - 1} PASSED",
        "half PASSED",
        "docstring of Half PASSED",
        "docstring of Half.of PASSED",
        f"number 0.5 at line {BODY + 18} PASSED",
        f"cell at line {BODY + 21} PASSED",
        f"transcript at line {BODY + 25} PASSED",
        f"cell at line {BODY + 30} PASSED",
        "docstring of third PASSED",
    ]


@pytest.mark.parametrize("name", ["docstring of third", "cell at line 43", "docstring of Half.of"])
def test_one_claim_alone_runs_the_cells_above_it(run: Run, name: str) -> None:
    run(COMPLETE, select=f"::{name}").assert_outcomes(passed=1)


def test_a_failing_cell_is_shown_with_the_lines_it_went_through(failure: Failure) -> None:
    body = "\n```python\nhalf = half(3)\n\nhalf / 0\n```\n"
    said = failure(HALF, body, imports="from backprop_core import half")
    assert said == f"{at(5, 2)}: ZeroDivisionError: float division by zero\n    {at(5, 2)}  half / 0"


def test_lines_of_earlier_chapters_are_shown(failure: Failure) -> None:
    body = "\n```python\nprint(half('a'))\n```\n"
    assert failure(HALF, body, imports="from backprop_core import half") == (
        f"{at(3, 2)}: TypeError: unsupported operand type(s) for /: 'str' and 'int'\n"
        f"    {at(3, 2)}  print(half('a'))\n"
        f"    {at(4, 1)}  return x / 2"
    )


def test_a_long_trace_is_cut(failure: Failure) -> None:
    body = "\n```python\nsys.setrecursionlimit(10**5)\ndef f():\n    f()\nf()\n```\n"
    started = time.process_time()
    said = failure(body, imports="import sys").splitlines()
    assert time.process_time() - started < 6  # to look up each line takes fifteen seconds
    assert said[0] == f"{at(6)}: RecursionError: maximum recursion depth exceeded"
    assert len(said) < 30


def test_after_a_failing_cell_the_others_are_not_run(run: Run) -> None:
    result = run("\n```python\n1 / 0\n```\n\n```pycon\n>>> 1\n1\n```\n")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*SKIPPED (01-sample.md:16 failed)*"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def half(x):\n    return _halved(x)", "_halved comes neither from a core cell nor from"),
        ("def half(x):\n    return math.sin(x)", "math comes neither from a core cell nor from"),
    ],
)
def test_what_cannot_be_tangled_is_said_once(run: Run, code: str, message: str) -> None:
    body = f'\n```python tags=["core"] name="half"\n{code}\n```\n\n```pycon\n>>> 1\n1\n```\n'
    for bodies in ((body,), (body, "")):  # in this chapter, or in an earlier one
        result = run(*bodies)
        result.assert_outcomes(errors=1)
        before, _, summary = result.stdout.str().partition("short test summary info")
        assert len((before + summary).splitlines()) < 20
        assert sum("01-sample.md:" in line and message in line for line in before.splitlines()) == 1


def test_a_label_that_an_earlier_chapter_has_is_refused(run: Run) -> None:
    display = "\n@eq:x\n\n$$\nx = x\n$$ {#eq:x}\n"
    result = run(display, display)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*02-sample.md:*: eq:x is already at *01-sample.md:*"])


def test_a_failing_transcript_does_not_stop_the_cells_below(run: Run) -> None:
    result = run("\n```pycon\n>>> 1\n2\n```\n\n```python\nprint(1)\n```\n")
    result.assert_outcomes(passed=2, failed=1)


def test_transcript(failure: Failure) -> None:
    said = failure("\n```pycon\n>>> 1\n1\n>>> np.ones(2)\narray([1., 2.])\n```\n")
    assert said == f"{at(5)}: np.ones(2)\nExpected:\n    array([1., 2.])\nGot:\n    array([1., 1.])"


def test_transcript_that_raises(failure: Failure) -> None:
    said = failure("\n```pycon\n>>> def f():\n...     1 / 0\n>>> f()\n```\n")
    assert said == f"{at(5)}: ZeroDivisionError: division by zero\n    {at(5)}  >>> f()"


def test_docstring(failure: Failure) -> None:
    body = HALF.replace("def half(x):\n", 'def half(x):\n    """Half.\n\n    >>> half(1)\n    1\n    """\n')
    assert failure(body) == f"{at(6)}: half(1)\nExpected:\n    1\nGot:\n    0.5"


def test_number_in_prose(failure: Failure) -> None:
    assert failure('\n\nSome 0.50<!-- = f"{1 / 3:.2f}" --> of them\n') == (
        f'{at(3)}: the text says 0.50, but f"{{1 / 3:.2f}}" is 0.33; `make numbers` writes it'
    )


def test_number_that_raises(failure: Failure) -> None:
    said = failure("\nIt is 1<!-- = loss -->.\n")
    assert said.startswith(f"{at(2)}: NameError: name 'loss' is not defined\n")


def test_a_number_belongs_to_the_cells_above_it(run: Run) -> None:
    cell = "\n```python\nn = {}\n```\n\nNow {}<!-- = n -->.\n"
    run(cell.format(1, 1) + cell.format(2, 2)).assert_outcomes(passed=5)


def test_a_cell_that_should_raise(failure: Failure) -> None:
    said = failure('\n```python raises="ValueError: ."\nint("1")\n```\n')
    assert said == f"{at(3)}: the cell is to raise ValueError, but raised nothing"


def test_a_cell_that_says_something_else(failure: Failure) -> None:
    said = failure('\n```python raises="ValueError: expected a .* shape"\nint("x")\n```\n')
    assert said.startswith(f"{at(3)}: the cell is to say 'expected a .* shape', but says ")


def test_a_cell_that_raises_something_else(failure: Failure) -> None:
    said = failure('\n```python raises="ValueError: ."\n\n1 / 0\n```\n')
    assert said == f"{at(4)}: ZeroDivisionError: division by zero\n    {at(4)}  1 / 0"


def test_a_cell_that_exits(failure: Failure) -> None:
    said = failure("\n```python\nraise SystemExit('enough')\n```\n")
    assert said == f"{at(3)}: SystemExit: enough\n    {at(3)}  raise SystemExit('enough')"


@pytest.mark.filterwarnings("ignore")
def test_a_warning_fails(failure: Failure) -> None:
    said = failure("\n```python\nnp.log(np.zeros(1))\n```\n")
    assert said.startswith(f"{at(3)}: RuntimeWarning: divide by zero")


def test_an_expression_that_is_none(failure: Failure) -> None:
    said = failure("\n\nIt is 1<!-- = 1 + -->.\n")
    assert said == f"{at(3)}: SyntaxError: invalid syntax\n    {at(3)}  It is 1<!-- = 1 + -->."


def test_what_a_later_chapter_defines_does_not_exist(run: Run, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("02-later.md").write_text(HEADER.replace("IMPORTS", "import ast") + HALF)
    result = run("", imports="from backprop_core import half")
    result.stdout.fnmatch_lines(["*01-sample.md:12: half is not defined in an earlier chapter"])


def test_an_installed_module_is_hidden_and_put_back(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(HALF, "", imports="from backprop_core import half").assert_outcomes(passed=1)
    monkeypatch.setitem(sys.modules, "backprop_core", np)
    with Session.of(pytester.path / "02-sample.md") as session:
        session.run_to(1)
        assert session.namespace["half"](1) == 0.5
    assert sys.modules["backprop_core"] is np


def test_a_future_import_holds_for_the_chapter(run: Run) -> None:
    body = "\n```python\ndef f(x: later): ...\nprint(f.__annotations__)\n```\n"
    run(body, imports="from __future__ import annotations").assert_outcomes(passed=2)


def test_figures_need_no_screen_and_are_closed_after_their_cell(run: Run) -> None:
    matplotlib.use("svg")
    code = "assert plt.get_backend() == 'agg' and not plt.get_fignums()\nplt.figure()"
    drawing = f'\n```python alt="A line."\n{code}\n```\n'
    run(2 * drawing, imports="import matplotlib.pyplot as plt").assert_outcomes(passed=3)


FIGURES = {
    ("", "plt.plot([1])"): 'this cell draws a figure: add alt="…" and say what one sees in it',
    (' alt="A line."', "print()"): "this cell has alt=… but draws no figure",
    (' alt="A line."', "plt.xlabel('x')"): "above its figure this cell shows Text(0.5, 0, 'x'), the value of "
    "its last line; end it with ;",
}


@pytest.mark.parametrize(("how", "message"), FIGURES.items(), ids=FIGURES.values())
def test_a_figure_is_refused_as_on_the_site(failure: Failure, how: tuple[str, str], message: str) -> None:
    said = failure(f"\n```python{how[0]}\n{how[1]}\n```\n", imports="import matplotlib.pyplot as plt")
    assert said.splitlines()[0] == f"{at(3)}: {message}"


def test_a_chapter_leaves_no_trace(run: Run) -> None:
    def state() -> list[object]:
        process = (
            os.environ.get("HOME"),
            [*sys.path],
            sys.getrecursionlimit(),
            locale.setlocale(locale.LC_ALL),
        )
        return [np.get_printoptions(), np.geterr(), dict(matplotlib.rcParams), *process]

    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    before = state()
    settings = "np.set_printoptions(precision=2)\nnp.seterr(all='ignore')\nmatplotlib.rc('font', size=3)\n"
    settings += "os.environ.clear()\nsys.path.clear()\nsys.setrecursionlimit(500)\nlocale.setlocale(0, 'C')"
    imports = "import locale\nimport os\nimport sys\n\nimport matplotlib\nimport numpy as np"
    run(f"\n```python\n{settings}\n```\n", imports=imports).assert_outcomes(passed=2)
    assert state() == before


def test_what_fails_while_a_chapter_begins_is_put_back_too() -> None:
    before = dict(os.environ), [*sys.path], sys.getrecursionlimit()
    with pytest.raises(KeyError), _as_before():
        os.environ.clear()
        sys.path.clear()
        sys.setrecursionlimit(500)
        raise KeyError
    assert (dict(os.environ), sys.path, sys.getrecursionlimit()) == before


def test_chapters_do_not_share_names(run: Run, pytester: pytest.Pytester) -> None:
    run("\n```python\nsecret = 1\n```\n", "\n```python\nprint(secret)\n```\n")
    pytester.runpytest_inprocess("-pliterate.prove.pytest_plugin").assert_outcomes(passed=3, failed=1)


@pytest.mark.parametrize(
    "body, complaint",
    [
        ("\n```bash\nls\n```\n", "Jupyter would execute"),
        ('\n```python tags=["exercise"] name="x"\nx = 1\n```\n', '15: tags=["exercise"] is unknown'),
        ("\n```pycon\nno prompt\n```\n", "a transcript without >>> tests nothing; write ```text instead"),
        (
            "\n```pycon\n>>> 1\n1\n>>> 2  # doctest: +SKIP\n3\n```\n",
            "18: a line that is skipped tests nothing; write ```text instead",
        ),
        ("\n```pycon\n>>> 1\n1\n>>>1\n```\n", "18: lacks blank after >>>: '>>>1'"),
    ],
)
def test_a_mistake_of_form_is_one_line(
    run: Run, pytester: pytest.Pytester, body: str, complaint: str
) -> None:
    result = run(body)
    result.assert_outcomes(errors=1)
    report = result.stdout.str().split("= ERRORS =")[1].split("= short test summary info =")[0]
    (line,) = report.splitlines()[2:-1]
    assert complaint in line and line.startswith(f"{pytester.path}/01-sample.md:")


@pytest.mark.parametrize("error", ["BaseException", "GeneratorExit", "SystemExit"])
def test_an_error_of_any_kind_is_told_in_a_line(failure: Failure, error: str) -> None:
    said = failure(f"\n```python\nx = 1\nraise {error}(x)\n```\n")
    assert said.splitlines() == [f"{at(4)}: {error}: 1", f"    {at(4)}  raise {error}(x)"]


def test_an_error_is_told_with_its_notes(failure: Failure) -> None:
    body = '\n```python\nerror = ValueError("first")\nerror.add_note("second")\nraise error\n```\n'
    assert failure(body).splitlines()[:2] == [f"{at(5)}: ValueError: first", "second"]


def test_other_markdown_is_not_collected(run: Run, pytester: pytest.Pytester) -> None:
    run("")
    pytester.path.joinpath("notes.md").write_text("1 / 0")
    pytester.runpytest_inprocess("-pliterate.prove.pytest_plugin").assert_outcomes(passed=1)


def test_what_a_chapter_defines_can_be_pickled(run: Run) -> None:
    body = HALF + "\n```python\nprint(pickle.loads(pickle.dumps(half))(4))\n```\n"
    run(body, imports="import pickle").assert_outcomes(passed=3)
