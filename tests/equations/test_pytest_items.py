"""Equations as tests of a chapter, and the command line."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

import check_equations
from equations.book import Book
from equations.pytest_items import Wrong, equation_items
from literate.reader import read_chapter

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def functions(module: dict[str, Any]) -> dict[str, Any]:
    return dict(module)


def test_one_item_for_each_equation_and_table(functions: dict[str, Any]) -> None:
    items = equation_items(read_chapter(SAMPLES / "cross-entropy.md"), lambda: functions)
    labels = ["eq:softmax-batch", "eq:ce", "eq:ce-grad", "eq:bce", "eq:bce-grad", "notation at line 13"]
    assert [label for _, label, _ in items] == labels
    for _, _, check in items:
        check()


def test_an_item_fails_with_the_finding(functions: dict[str, Any]) -> None:
    functions["bce_logits_backward"] = lambda s, t: t - s
    found = equation_items(read_chapter(SAMPLES / "cross-entropy.md"), lambda: functions)
    items = {label: check for _, label, check in found}
    items["eq:bce-grad"]()
    with pytest.raises(Wrong, match="is not the derivative of the code"):
        items["notation at line 13"]()


def test_symbols_of_another_chapter(functions: dict[str, Any], tmp_path: Path) -> None:
    header, _, body = (SAMPLES / "hollow.md").read_text(encoding="utf-8").partition("# The")
    table, _, display = body.partition("\n$$\n")
    page, chapter = tmp_path / "index.md", tmp_path / "01-a.md"
    page.write_text(f"{header}# The{table}\n", encoding="utf-8")
    chapter.write_text(f"{header}# A\n\n$$\n{display}", encoding="utf-8")
    ((_, label, check),) = equation_items(read_chapter(chapter), lambda: functions, [read_chapter(page)])
    assert label == "eq:mse"
    check()


@pytest.fixture
def command(functions: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    chapters = [read_chapter(SAMPLES / "cross-entropy.md")]
    monkeypatch.setattr(check_equations, "read_book", lambda: chapters)
    module = types.SimpleNamespace(text="", namespace=lambda: functions)
    monkeypatch.setattr(check_equations, "tangle", lambda _: module)


@pytest.mark.usefixtures("command")
def test_the_command_checks_the_book(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_equations.main([]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "7 checks, 0 findings; 0 of 5 displays unchecked\nin no equation: Linear, adam_step, bn_backward"
    )


def test_a_check_says_how_often_and_against_what(functions: dict[str, Any]) -> None:
    chapter = read_chapter(SAMPLES / "cross-entropy.md")
    (result,), findings = check_equations.check(Book([chapter], functions), chapter, ["eq:ce-grad"])
    assert (result.draws, result.steps, findings) == (12, 4, [])
    assert "softmax_cross_entropy_backward" in result.against


@pytest.mark.usefixtures("command")
def test_the_command_explains_and_plants(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_equations.main(["--label", "eq:softmax-batch", "--explain", "--mutants"]) == 0
    said = capsys.readouterr().out
    assert "eq:softmax-batch: p[n, k]\n    = (exp(z[n, k]) / sum[j](exp(z[n, j])))\n" in said
    assert "27 of 27 mutants noticed" in said


@pytest.mark.usefixtures("command")
def test_what_nobody_counts_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check_equations.main(["--record"])
    assert capsys.readouterr().err.endswith("--record writes what --mutants counts; give both\n")


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize(
    "arguments, said",
    [
        (["book/99-no.md"], "book/99-no.md: not a chapter: expected a file like 04-linear.md\n"),
        (["README.md"], "README.md: not a chapter: expected a file like 04-linear.md\n"),
        (["--label", "eq:nowhere"], ": no equation that is checked has the label eq:nowhere there\n"),
    ],
)
def test_the_command_refuses_what_is_not_there(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert check_equations.main(arguments) == 1
    assert capsys.readouterr().out.endswith(said)


@pytest.mark.usefixtures("command")
def test_the_command_fails_where_an_equation_does(
    capsys: pytest.CaptureFixture[str], functions: dict[str, Any]
) -> None:
    functions["cross_entropy"] = lambda p, y: 0.0 * p.sum()
    assert check_equations.main([]) == 1
    assert "eq:ce: the two sides differ" in capsys.readouterr().out


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("arguments", [[], ["--label", "eq:ce"]])
def test_the_command_ends_where_a_function_does_not(
    capsys: pytest.CaptureFixture[str],
    functions: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.setenv("BOOK_CELL_SECONDS", "0.3")
    functions["cross_entropy"] = lambda p, y: any(i for i in iter(int, 1))
    assert check_equations.main(arguments) == 1
    said = capsys.readouterr().out
    late = "its check has not ended after 0.3 s, the limit (BOOK_CELL_SECONDS sets another)"
    assert said == f"tests/equations/samples/cross-entropy.md:33: {late}\n"
