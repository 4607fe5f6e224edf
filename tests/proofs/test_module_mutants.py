"""Mistakes planted in the module are noticed by the chapters alone: equations, transcripts, numbers."""

from __future__ import annotations

import contextlib
import gc
import random
import signal
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from types import ModuleType
from unittest import mock

import pytest

from literate.chapter import MODULE_NAME, Cell, Chapter, Place, defined_names
from literate.limits import Limits
from literate.prove import pytest_plugin
from literate.prove.session import Failure, Session
from literate.reader import read_book
from literate.tangle.module import Module, tangle
from tests import test_diagnose_borders as borders
from tests.equations.code_mutants import CodeMutant, Equations, functions_of, mutants_of

# How many mistakes in a function no chapter notices. The numbers may only fall.
SURVIVORS = {
    # They change nothing that one could notice.
    "ELU.value_and_slope": 1,  # a guard against overflow in the branch that is not taken
    "GELU.value_and_slope": 2,  # from 40 on or from 41 on, the switch is 0 or 1
    "Network._begin": 1,  # one run or two: asked is whether there was any
    # Options and guards that no chapter shows yet: tests/test_options.py and tests/test_settings.py try
    # them, but the chapters are to show them.
    "CrossEntropyLoss._of_shares": 1,
}


SLOW = 0.05  # seconds that a cell may take that is asked first: nearly all mistakes are noticed there
PATIENT = 2  # seconds for what nobody has noticed
LONGEST = 60  # seconds after which a cell that was quick is wrong; a tenth of them, if it was very quick
FEW = 4  # equations: what they do not notice, the quick claims nearly always do


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


def _claims(session: Session) -> list[pytest_plugin.Claim]:
    return sorted(pytest_plugin._claims(session), key=lambda claim: claim[0])


def _fails(check: Callable[[], None]) -> bool:
    try:
        check()
    except Failure:
        return True
    return False


class Slow(BaseException):
    """A cell has taken too long. No ``except Exception`` in the cell catches it."""


@contextlib.contextmanager
def within(seconds: float, limits: Limits | None = None) -> Iterator[None]:
    def stop(*_: object) -> None:
        if not (limits and limits.over):
            raise Slow
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)  # once more: it is being put back

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        if unraisable.exc_type is not Slow:
            return hook(unraisable)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)  # once more: a destructor or a callback was running

    before = signal.signal(signal.SIGVTALRM, stop)
    hook, sys.unraisablehook = sys.unraisablehook, lost
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)  # of this process, however busy the machine is
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        sys.unraisablehook = hook


class Quick(Planted):
    """The same without the cells that take long: those that train. With a limit, it finds more of them."""

    def __init__(
        self,
        chapter: Chapter,
        source: str,
        slow: Collection[Place],
        limit: float = 0,
        longest: float = LONGEST,
    ) -> None:
        super().__init__(chapter, source)
        self.slow = set(slow)
        self.limit = limit
        self.longest = longest

    def __enter__(self) -> Quick:
        super().__enter__()
        self.limits.seconds = self.longest
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
        if not self.limit or cell is self.chapter.python[0]:  # it imports
            return super().execute(cell)
        try:
            with within(self.limit, self.limits):
                super().execute(cell)
        except Slow:
            self.slow.add(cell.place)
            tracemalloc.stop()  # which it may have been about to do; all that follows would be slower


class Freed:
    def __del__(self) -> None:
        sum(range(50))


def test_a_limit_is_kept_in_destructors_too() -> None:
    with pytest.raises(Slow), within(0.05):
        for _ in range(3_000_000):
            Freed()


def test_a_limit_waits_until_all_is_put_back() -> None:
    limits, begun = mock.Mock(over=True), time.process_time()
    with pytest.raises(Slow), within(0.01, limits):
        while time.process_time() < begun + 0.1:
            sum(range(50))
        limits.over = False
        while True:
            sum(range(50))
    assert time.process_time() >= begun + 0.1


class Rehearsed:
    """A chapter of which the quick claims are known: those that hold when the slow cells are left out."""

    def __init__(self, chapter: Chapter, source: str, limit: float = SLOW) -> None:
        self.chapter = chapter
        self.longest = LONGEST / 10 if limit == SLOW else LONGEST
        self.slow: set[Place] = set()
        self.usable: set[int] = set()
        while True:  # a cell may be slow only where one above it is left out; what holds must hold twice
            with Quick(chapter, source, self.slow, limit) as session:
                usable = {at for at, (_, _, check) in enumerate(_claims(session)) if not _fails(check)}
            settled = session.slow == self.slow and usable <= self.usable
            self.slow, self.usable = session.slow, usable
            if settled:
                break
        gc.freeze()  # what stays need not be looked through at the end of each session
        assert len(self.usable) > 10

    def notices(self, source: str) -> bool:
        """Claims that never hold are asked, too: those after them rest on the cells that they run."""
        with Quick(self.chapter, source, self.slow, longest=self.longest) as session:
            failing = (at for at, (_, _, check) in enumerate(_claims(session)) if _fails(check))
            return any(at in self.usable for at in failing)


def homes_of(function: str, chapters: Sequence[Chapter]) -> list[Chapter]:
    """The chapters that define the function, or pieces of its class."""
    name = function.split(".")[0]
    return [one for one in chapters if any(name in defined_names(cell) for cell in one.core)]


class Early:
    """The chapters up to the training loop; the later ones train networks, too long to do for each mutant."""

    def __init__(self) -> None:
        self.chapters = [chapter for chapter in read_book() if (chapter.number or 0) <= 10]
        self.source = tangle(self.chapters).text
        self.equations = Equations(self.chapters, self.source)
        self.rehearsed = cache(lambda chapter, limit: Rehearsed(chapter, self.source, limit))

    def homes(self, function: str) -> list[Chapter]:
        return homes_of(function, self.chapters)

    def mutants(self, number: int) -> list[CodeMutant]:
        """Those of the functions whose first home is this chapter."""
        own = {name for name in self.equations.users if self.homes(name)[0].number == number}
        return list(mutants_of(self.source, own, slips=False))

    def notice(self, mutant: CodeMutant) -> bool:
        """Some equations are asked briefly, then the quick claims of its chapters, then all equations.

        Slower claims are asked for what should not survive: on a busy machine quick cells may be slow.
        """
        return (
            self.equations.notice(mutant, most=FEW)
            or self.at_home(mutant, SLOW)
            or self.equations.notice(mutant)
            or (mutant.function not in SURVIVORS and self.at_home(mutant, PATIENT))
        )

    def at_home(self, mutant: CodeMutant, limit: float) -> bool:
        homes = (self.rehearsed(chapter, limit) for chapter in self.homes(mutant.function))
        return any(home.notices(mutant.source) for home in homes)


@pytest.fixture(scope="module")
def early() -> Early:
    return Early()


PLANTED = {1: 6, 2: 15, 3: 18, 4: 20, 5: 80, 6: 60, 7: 20, 8: 25, 9: 40, 10: 20}  # chapter, at least so many


def test_each_chapter_with_code_has_mutants(early: Early) -> None:
    assert [one.number for one in early.chapters if one.core] == list(PLANTED)


@pytest.mark.parametrize("number", PLANTED)
def test_mutants_of_the_module(early: Early, number: int) -> None:
    mutants = early.mutants(number)
    alive = [mutant for mutant in mutants if not early.notice(mutant)]
    assert Counter(mutant.function for mutant in alive) <= Counter(SURVIVORS), "\n".join(map(str, alive))
    assert len(mutants) >= PLANTED[number]


# Later chapters, and the share of a sample of mistakes in their code that they notice, equations included,
# but without the cells that train; chapter 24 with the page of its borders. The shares may only rise.
SHARES = {**dict.fromkeys(range(11, 23), 0.98), **dict.fromkeys((18, 19, 20, 22, 24), 1)}
SAMPLE = 8
# What changes nothing that one could notice there, and why; of chapters 11 to 17 and 21, all.
# Where a function has several such constants, the line of the module says which.
EQUIVALENT = {
    "Conv2d.forward: constant changed in 4": "one size more, which zip leaves out",
    "CrossEntropyLoss._of_shares: constant changed in 1: "
    "value = np.vecdot(target, np.where(target != 0, -logs, 0))  # eq:ce": "what is multiplied by 0",
    "MaxPool2d.forward: overwritten, not added to, in winner += self._inside(first.shape) - winner": "was 0",
    "MultiHeadAttention.backward: constant changed in 2": "the values, of which there are as many as keys",
    "MultiHeadAttention._seen: constant changed in 1: "
    "both = np.where(beyond[..., None], 0, x) if beyond.any() else x": "a place that nobody looks at",
    "TransformerBlock.__init__: constant changed in 3": "a third end, which no branch gets",
    "Value.__neg__: operator changed in self / -1": "minus 1 is its own inverse",
    "_BatchNorm.__init__: constant changed in 1.0": "another share that is allowed stands in for None",
    "_Pool._inside: constant changed in 4": "one size more, which zip leaves out",
    "_Pool._pieces: constant changed in 4": "one size more, which zip leaves out",
    "_RowNorm.__init__: constant changed in 1.0": "another number that is allowed stands in for None",
    "_RowNorm.backward: operator changed in weight / _ones(rows.shape[1], rows.dtype)": "divided by ones",
    "_attend: operator changed in total - (total == 0)": "zeros, divided by -1 instead of 1",
    "_base_slope: constant changed in 2.0": "a power of 0 that is multiplied by 0",
    "_explained: sign dropped in +1": "the last of two axes",
    "_matmul_right: constant changed in 3": "the same product, by the slower way",
    "_move: constant changed in 1": "other random numbers",
    "_move: constant changed in 2": "one more number that is never picked",
    "_moved: constant changed in 2": "which entry stands where a constant replaces it",
    "_moved_signs: constant changed in 2.0": "how wide no column is, usual either way",
    "_pattern: factor replaced by the other in measured @ measured": "the two are one",
    "_restart_signs: constant changed in 1501": "one step more",
    "_rewindable: constant changed in 2": "one more copy, which nobody takes",
    "_prod: constant changed in 2: y = y[0] if len(y) else y.sum(axis=0) + 1": "NumPy's own counts",
    "_prod: operator changed in y.sum(axis=0) - 1": "a number that NumPy's own replaces",
    "_run: constant changed in 300000001.0": "one number more, until a large network takes few steps",
    "_root: constant changed in 2": "the root of a number that is replaced by 0",
    '_set_back: constant changed in 1: t = 0 if schedule is None else arrays["schedule"].item()': "not used",
    "_side: constant changed in 2": "0 divided by 2 instead of 1",
    "_sinc: constant changed in 1": "the other formula counts; or a term below the last digit",
    "_sinc: constant changed in 2: near, x = np.where(far, 0, x), math.pi * np.where(far, x, 1)": "not used",
    "_sinc: constant changed in 2: square, y = (math.pi * near) ** 2, near * 0 + 1": "below the last digit",
    "_stand_in: constant changed in 2": "one more copy, which nobody takes",
    "_times: constant changed in 2": "1 times the gradient, instead of the gradient",
}


def is_equivalent(mutant: CodeMutant, source: str) -> bool:
    name = f"{mutant.function}: {mutant.what}"
    line = source.splitlines()[mutant.line - 1].strip()
    return name in EQUIVALENT or f"{name}: {line}" in EQUIVALENT


BORDERED = 24  # its borders stand on a page of their own, which is quick, and is asked first


def crosses_a_border(source: str) -> bool:
    """Whether the page of borders prints something else with this module."""
    module = ModuleType(MODULE_NAME)
    exec(compile(source, MODULE_NAME, "exec"), vars(module))
    with mock.patch.dict(sys.modules, {MODULE_NAME: module}), within(LONGEST):
        try:
            return any(borders.wrong(one, borders.known(vars(module))) for one in borders.SECTIONS.values())
        except (Exception, Slow):
            return True


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
    every = [one for slips in (False, True) for one in mutants_of(source, names, slips)]
    sample = random.Random(number).sample(every, min(SAMPLE, len(every)))
    rehearsed = cache(lambda home, limit: Rehearsed(home, source, limit))
    assert number != BORDERED or not crosses_a_border(source)

    def noticed(one: CodeMutant) -> bool:
        if number == BORDERED and crosses_a_border(one.source):
            return True
        homes = [chapter, *(home for home in homes_of(one.function, book) if home is not chapter)]
        return (
            equations.notice(one, most=FEW)
            or any(rehearsed(home, SLOW).notices(one.source) for home in homes)
            or any(rehearsed(home, PATIENT).notices(one.source) for home in homes)
            or equations.notice(one)
        )

    alive = [one for one in sample if not is_equivalent(one, source) and not noticed(one)]
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
    rehearsed = Rehearsed(chapter, source, PATIENT)
    assert [right for right, _ in LATER if source.count(right) != 1] == []
    assert [wrong for right, wrong in LATER if not rehearsed.notices(source.replace(right, wrong))] == []
