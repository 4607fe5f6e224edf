"""All solutions of Part I make a module of their own, which reads digits as well as the book's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from literate.chapter import Chapter
from literate.exercises import folder, variants
from literate.exercises.marker import Answer, Marker
from literate.prove.session import Session
from literate.reader import read_book

CHECK = """
def share():
    core = own_module()
    right = 0
    for seen, unseen in folds:
        rng = np.random.default_rng(0)
        net = core.Network(
            core.Linear(64, 256, rng=rng), core.ReLU(), core.Linear(256, 10, rng=rng),
            loss=core.CrossEntropyLoss(),
        )
        learn(core, net, pixels[seen], label[seen], rng)
        right += int(np.sum(net(pixels[unseen]).argmax(axis=1) == label[unseen]))
    return right


refuse(f"right: {share()}")
"""


@pytest.fixture(scope="module")
def marker() -> Marker:
    return Marker(read_book())


def digits(marker: Marker, check: str = "") -> Answer:
    """The last exercise of Part I, answered by the solutions of its chapter."""
    sheet, exercise = next(
        (sheet, one) for sheet in marker.sheets for one in sheet.exercises if one.name == "network-digits"
    )
    if check:
        assert exercise.check
        cell = dataclasses.replace(exercise.check, source=check)
        exercise = dataclasses.replace(exercise, check=cell, seconds=600)
    path = variants.course(marker)[sheet.key][0]
    return Answer(sheet, exercise, path, variants.solved(marker, sheet))


def test_all_solutions_together_read_as_many_digits_as_the_book(marker: Marker) -> None:
    with Session.of(_chapter(marker, "network").path) as session:
        session.run_to(
            next(i for i, cell in enumerate(session.chapter.cells, 1) if "\nours =" in cell.source)
        )
        ours = session.namespace["ours"]  # per cent
    head = (
        "from sklearn.datasets import load_digits\nfrom sklearn.model_selection import KFold\n"
        "digits = load_digits()\npixels, label = digits.data / 16, digits.target\n"
        "folds = KFold(3, shuffle=True, random_state=0).split(pixels)\n"
    )
    (verdict,) = marker.mark([digits(marker, check=head + CHECK)], variants.course(marker))
    assert verdict.message.startswith("right: ")
    right = int(verdict.message.split("\n")[0].removeprefix("right: "))
    share = 100 * right / len(load_digits().target)
    assert share == pytest.approx(ours, rel=1e-12) and share > 97


def _chapter(marker: Marker, key: str) -> Chapter:
    return next(sheet.chapter for sheet in marker.sheets if sheet.key == key)


@pytest.mark.parametrize("key", ["linear", "activations", "losses"])
def test_without_one_chapter_there_is_no_module(marker: Marker, key: str, tmp_path: Path) -> None:
    """The book's own answers do not stand in for those that are missing."""
    course = variants.course(marker)
    list(folder.write(marker, tmp_path))
    sheet = next(sheet for sheet in marker.sheets if sheet.key == key)
    path = folder.file_of(sheet, tmp_path)
    course[key] = path, path.read_text(encoding="utf-8")
    (verdict,) = marker.mark([digits(marker)], course)
    assert verdict.state == "failed"
    assert f"it needs what is not written yet: {path}:" in verdict.message


def test_one_wrong_sign_in_one_chapter_is_noticed_at_the_end(marker: Marker) -> None:
    course = variants.course(marker)
    path, source = course["linear"]
    wrong = (
        "class Linear(Linear):\n    def backward(self, grad_output):\n"
        "        return super().backward(-grad_output)\n"
    )
    course["linear"] = path, f"{source}\n\n{wrong}"
    (verdict,) = marker.mark([digits(marker)], course)
    assert verdict.state == "failed" and "no better than a guess" in verdict.message
