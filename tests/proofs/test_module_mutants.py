"""Mistakes planted in the module are noticed by the chapters alone: equations, transcripts, numbers."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection

import pytest

from equations.code_mutants import CodeMutant, Equations, functions_of, plant_in_module, sample_of
from literate.chapter import MODULE_NAME, Cell, Chapter, Place, defined_names
from literate.prove import pytest_plugin
from literate.prove.session import Failure, Session
from literate.reader import read_book
from literate.tangle.module import Module, tangle

# Functions with a mistake that changes nothing one could notice, and why.
HARMLESS = {
    "ELU.value_and_slope": "a guard against overflow in the branch that is not taken",
    "GELU.value_and_slope": "from 40 on or from 41 on, the switch is 0 or 1",
}
# Options and guards that no chapter shows yet, and how many mistakes in them no chapter notices. The
# numbers may only fall: tests/test_options.py and tests/test_settings.py try these options, but the
# chapters are to show them.
UNSHOWN = {
    "CrossEntropyLoss._of_shares": 1,
    "Loss._examined": 1,
    "_probabilities": 1,
}


SLOW = 0.5  # seconds that a cell of a later chapter may take


class Planted(Session):
    """A chapter whose core cells come from a changed module."""

    def __init__(self, chapter: Chapter, source: str) -> None:
        super().__init__(chapter, ())
        self.earlier = Module(source, {}, "")

    def execute(self, cell: Cell) -> None:
        if cell.tag == "core":
            changed = vars(sys.modules[MODULE_NAME])
            self.namespace.update({name: changed[name] for name in defined_names(cell)})
        else:
            super().execute(cell)


def noticed(chapter: Chapter, source: str) -> bool:
    with Planted(chapter, source) as session:
        return any(_fails(check) for _, _, check in _claims(session))


def _claims(session: Session) -> list[pytest_plugin.Claim]:
    return sorted(pytest_plugin._claims(session), key=lambda claim: claim[0])


def _fails(check: Callable[[], None]) -> bool:
    try:
        check()
    except Failure:
        return True
    return False


class Quick(Planted):
    """The same without the cells that take long: those that train."""

    def __init__(self, chapter: Chapter, source: str, slow: Collection[Place] = ()) -> None:
        super().__init__(chapter, source)
        self.slow = slow
        self.took: dict[Place, float] = {}

    def __enter__(self) -> Quick:
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.namespace.clear()
        gc.collect()  # temporary folders that a stopped cell left open go while this session allows it
        super().__exit__(*error)

    def run_to(self, end: int) -> None:
        """A cell that wants what a slow one makes fails alone: it says nothing of the others."""
        while self.done < end:
            try:
                super().run_to(self.done + 1)
            except Failure:
                self.failed = None
                if self.done == end:
                    raise

    def execute(self, cell: Cell) -> None:
        if cell.place in self.slow:
            return
        start = time.process_time()
        super().execute(cell)
        self.took[cell.place] = time.process_time() - start


class Rehearsed:
    """A chapter of which the quick claims are known: those that hold when the slow cells are left out."""

    def __init__(self, chapter: Chapter, source: str) -> None:
        self.chapter = chapter
        with Quick(chapter, source) as session:
            session.run_to(len(chapter.cells))
            self.slow = {place for place, seconds in session.took.items() if seconds > SLOW}
            self.slow.discard(chapter.python[0].place)  # its imports
        with Quick(chapter, source, self.slow) as session:
            self.usable = [at for at, (_, _, check) in enumerate(_claims(session)) if not _fails(check)]

    def notices(self, source: str) -> bool:
        with Quick(self.chapter, source, self.slow) as session:
            claims = _claims(session)
            return any(_fails(claims[at][2]) for at in self.usable)


@pytest.fixture(scope="module")
def chapters() -> list[Chapter]:
    """Those up to the training loop; the later ones train networks, too long to do for each mutant."""
    return [chapter for chapter in read_book() if (chapter.number or 0) <= 10]


def homes(chapters: list[Chapter], mutant: CodeMutant) -> list[Chapter]:
    """The chapters that define the function, or pieces of its class."""
    name = mutant.function.split(".")[0]
    return [c for c in chapters if any(name in defined_names(cell) for cell in c.core)]


def test_the_unchanged_module_passes(chapters: list[Chapter]) -> None:
    source = tangle(chapters).text
    assert [chapter.path.name for chapter in chapters if noticed(chapter, source)] == []


def test_mutants_of_the_module(chapters: list[Chapter]) -> None:
    """The quick claims of the chapters are asked first, and where they see nothing, all."""
    survivors: list[CodeMutant] = []
    source = tangle(chapters).text
    _, total = plant_in_module(chapters, source, survivors.append)
    rehearsed = {chapter.number: Rehearsed(chapter, source) for chapter in chapters}
    alive = [
        mutant
        for mutant in survivors
        if not any(rehearsed[one.number].notices(mutant.source) for one in homes(chapters, mutant))
        and not any(noticed(one, mutant.source) for one in homes(chapters, mutant))
    ]
    unexplained = [mutant for mutant in alive if mutant.function not in HARMLESS]
    found = Counter(mutant.function for mutant in unexplained)
    assert found <= Counter(UNSHOWN), "\n".join(map(str, unexplained))
    shown = [mutant for mutant in alive if mutant.function not in UNSHOWN]
    assert total > 150 and len(shown) <= 0.05 * total


# Later chapters, and the share of a sample of mistakes in their code that they notice, equations included,
# but without the cells that train. The shares may only rise.
SHARES = {11: 0.75, 12: 0.8, 13: 0.7, 14: 0.85, 15: 0.8, 16: 0.98, 18: 1.0, 19: 0.85, 20: 1.0, 21: 0.4}
SAMPLE = 8
# Of chapter 16, all that change nothing one could notice there, and why.
EQUIVALENT = {
    "_base_slope: constant changed in 2.0": "a power of 0 that is multiplied by 0",
    "_matmul_right: constant changed in 3": "the same product, by the slower way",
    "_move: constant changed in 1": "other random numbers",
    "_move: constant changed in 2": "one more number that is never picked",
    "_moved: constant changed in 2": "which entry stands where a constant replaces it",
    "_root: constant changed in 2": "the root of a number that is replaced by 0",
    "_times: constant changed in 2": "1 times the gradient, instead of the gradient",
}


@pytest.fixture(scope="module")
def whole() -> tuple[list[Chapter], str, Equations]:
    book = read_book()
    source = tangle(book).text
    return book, source, Equations(book, source)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", SHARES)
def test_a_sample_of_mistakes_in_later_chapters(
    whole: tuple[list[Chapter], str, Equations], number: int
) -> None:
    book, source, equations = whole
    chapter = next(one for one in book if one.number == number)
    own = {name for cell in chapter.core for name in defined_names(cell)}
    names = {name for name in functions_of(source) if name.split(".")[0] in own}
    sample = sample_of(source, names, SAMPLE, number)
    rehearsed = Rehearsed(chapter, source)
    alive = [
        one
        for one in sample
        if f"{one.function}: {one.what}" not in EQUIVALENT
        and not (rehearsed.notices(one.source) or equations.notice(one))
    ]
    assert len(sample) - len(alive) >= SHARES[number] * len(sample), "\n".join(map(str, alive))


# Mistakes in what a later chapter makes, each noticed without its long trainings.
LATER = [
    (
        "total = total + _part(node, i, slopes[parent], record)",
        "total = _part(node, i, slopes[parent], record)",
    ),
    ("if record else (y.data, slope)\n", "if record else (y.data, -slope)\n"),
    ("slope = known.get(y, np.zeros_like(y.data))", "slope = 2 * known.get(y, np.zeros_like(y.data))"),
]


def test_mistakes_of_a_later_chapter_without_its_trainings() -> None:
    book = read_book()
    source = tangle(book).text
    chapter = next(one for one in book if any("jvp" in defined_names(cell) for cell in one.core))
    rehearsed = Rehearsed(chapter, source)
    assert len(rehearsed.usable) > 10 and not rehearsed.notices(source)
    assert [right for right, _ in LATER if source.count(right) != 1] == []
    assert [wrong for right, wrong in LATER if not rehearsed.notices(source.replace(right, wrong))] == []
