"""The check of all equations, kept for each display until something that it rests on changes.

Which equations are proved, and how many planted mistakes each notices, takes longer to find out. This
is committed in book/checks.json, written by ``make checks``, and repeated by the slow proofs.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import equations
from equations.book import Book
from equations.check import Subject, check_subject, subjects_of
from equations.dependencies import Dependencies, of_display, of_table
from equations.errors import Finding, MathError
from equations.mutation_score import Score
from literate.chapter import BookError, Chapter, Display, Place, together
from literate.files import write_atomically
from literate.kept import Kept
from literate.limits import Misbehaved, late, timely
from literate.prove import examples
from literate.tangle.reach import Source, digest_of

COUNTS = "checks.json"
SOURCES = [*sorted(Path(equations.__file__).parent.glob("*.*")), Path(examples.__file__)]
T = TypeVar("T")
Found = dict[str, Any]  # "draws", "against" and "example" of a display


def check_all(book: Book, source: Source, cache: Path) -> dict[str, Found]:
    """{label: {"draws": 5, "against": [names], "example": …}}; a BookError if an equation does not hold."""
    kept = Kept(cache / "equations.pickle", digest_of([path.read_text(encoding="utf-8") for path in SOURCES]))
    found: dict[str, Found] = {}
    wrong: list[Finding] = []
    for chapter in book.chapters:
        for subject in subjects_of(chapter):
            label = str(getattr(subject, "label", ""))
            check = partial(_check, book, chapter, subject, wrong)
            rests = _rests(book, chapter, subject)
            one = kept.get(check, label, rests.texts, source.reached(rests.names)) if rests else check()
            if label:
                found[label] = one
    if wrong:
        raise together([BookError(one.place, f"{one.what}: {one.message}") for one in wrong])
    kept.save()
    return found


def _rests(book: Book, chapter: Any, subject: Subject) -> Dependencies | None:
    """What its check rests on; None for what cannot be read."""
    try:
        if isinstance(subject, Display):
            return of_display(book, chapter, subject)
        return of_table(book, chapter, subject)
    except MathError:
        return None


def _check(book: Book, chapter: Any, subject: Subject, wrong: list[Finding]) -> Found:
    results = in_time(partial(check_subject, book, chapter, subject), subject.place)
    findings = [result.finding for result in results if result.finding]
    wrong += findings
    if findings or not results:
        return {}
    found = {"draws": results[0].draws, "against": results[0].against}
    return found | (
        {"example": examples.example(book, chapter, subject)} if isinstance(subject, Display) else {}
    )


def in_time(check: Callable[[], Iterable[T]], place: Place) -> list[T]:
    """What a check finds. A row of a table may call what never ends."""
    try:
        with timely():
            return list(check())
    except Misbehaved:
        raise BookError(place, f"its check {late()}") from None


# -- counts of planted mistakes ----------------------------------------------------


def read_counts(folder: Path) -> dict[str, Found]:
    """{label: {"of": digest, "noticed": 12, "planted": 12, "proved": true}}"""
    file = folder / COUNTS
    counts: dict[str, Found] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return counts


def count_of(book: Book, chapter: Chapter, display: Display, counts: Mapping[str, Found]) -> Found | None:
    """What was counted for this display as it stands."""
    found = counts.get(str(display.label))
    return found if found and found["of"] == _text_of(book, chapter, display) else None


def write_counts(folder: Path, book: Book, scores: Mapping[str, Score], proved: Collection[str]) -> None:
    """Write the counts of these displays; those of others stay while the displays do."""
    counts = {label: count for label, count in read_counts(folder).items() if label in book.displays}
    for label, score in scores.items():
        of = _text_of(book, *book.displays[label])
        counts[label] = {"of": of, "noticed": score.killed, "planted": score.total, "proved": label in proved}
    lines = [f"{json.dumps(label)}: {json.dumps(count)}" for label, count in sorted(counts.items())]
    write_atomically(folder / COUNTS, "{\n" + ",\n".join(lines) + "\n}\n")


def _text_of(book: Book, chapter: Any, display: Display) -> str:
    """The display and its rows: what changes the mistakes that can be planted in it."""
    return digest_of(of_display(book, chapter, display).texts)
