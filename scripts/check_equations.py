"""Check the displayed equations against the module.

python scripts/check_equations.py                          the whole book
python scripts/check_equations.py book/06-losses.md        a chapter
python scripts/check_equations.py --label eq:ce --explain  one equation, and how it was read
python scripts/check_equations.py --mutants                plant mistakes in the equations; are they noticed?
python scripts/check_equations.py --mutants --record       and write the counts that the site shows
"""

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import literate  # noqa: F401  (whoever stops it from here on reads no traceback)
from equations.book import Book, read_display
from equations.check import Result, check_subject, checked_displays, subjects_of
from equations.errors import Finding, MathError
from equations.exact import exact_book, prove
from equations.guards import guard_table
from equations.mutation_score import Score, score
from equations.syntax import show
from literate.chapter import BookError, Chapter, Display
from literate.files import command
from literate.prove.checks import in_time, write_counts
from literate.prove.claims import count, text_findings
from literate.reader import read_book
from literate.tangle.module import Module, tangle


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", type=Path, help="chapters; all if none is named")
    parser.add_argument("--label", action="append", default=[], help="only this equation")
    parser.add_argument("--explain", action="store_true", help="show how each formula was read")
    parser.add_argument(
        "--mutants", action="store_true", help="plant mistakes in the equations and count the noticed"
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="with --mutants: write what the site shows of proofs and mutants",
    )
    options = parser.parse_args(arguments)
    if options.record and not options.mutants:
        parser.error("--record writes what --mutants counts; give both")
    try:
        chapters = read_book()
        module = tangle(chapters)
        book = Book(chapters, module.namespace())
        return run(book, module, choose(chapters, options), options)
    except BookError as error:
        print(error)
        return 1


def choose(chapters: list[Chapter], options: argparse.Namespace) -> list[Chapter]:
    """The chapters that are asked for; a name that fits none is refused."""
    by_path = {chapter.path.resolve(): chapter for chapter in chapters}
    for path in options.chapters:
        if path.resolve() not in by_path:
            raise BookError(path, "not a chapter: expected a file like 04-linear.md")
    chosen = [by_path[path.resolve()] for path in options.chapters] or chapters
    labels = [str(display.label) for chapter in chosen for display in checked_displays(chapter)]
    for label in options.label:
        if label not in labels:
            raise BookError(chosen[0].path.parent, f"no equation that is checked has the label {label} there")
    return chosen


def run(book: Book, module: Module, chosen: list[Chapter], options: argparse.Namespace) -> int:
    results: list[Result] = []
    findings: list[Finding] = []
    for chapter in chosen:
        if options.explain:
            explain(book, chapter, options.label)
        found, complaints = check(book, chapter, options.label)
        results += found
        findings += complaints
    for finding in {(one.place, one.message): one for one in findings}.values():
        print(finding)
    displays = [display for chapter in chosen for display in chapter.displays]
    unchecked = sum(display.unchecked is not None for display in displays)
    print(
        f"{len(results)} checks, {len(findings)} findings; {unchecked} of {len(displays)} displays unchecked"
    )
    if len(chosen) == len(book.chapters) and not options.label:
        print(f"in no equation: {', '.join(untouched(book, results))}")
    if not options.label:
        stated, listed = count(chosen)
        print(
            f"{stated} formulas in the text state something; {listed} of them are listed in book/unbound.toml"
        )
    scores: dict[str, Score] = {}
    if options.mutants and not findings:
        scores = plant(book, chosen, results, options.label)
    if options.record and scores:
        exact = exact_book(book.chapters, module.text)
        proved = {label for label in scores if not prove(exact, *book.displays[label])}
        print(f"{len(proved)} of {len(scores)} displays proved")
        write_counts(chosen[0].path.parent, book, scores, proved)
    return 1 if findings or not all(one.is_enough for one in scores.values()) else 0


def wanted(chapter: Chapter, labels: list[str]) -> list[Display]:
    """The displays with these labels; all that are checked, if there are none."""
    return [display for display in checked_displays(chapter) if not labels or display.label in labels]


def check(book: Book, chapter: Chapter, labels: list[str]) -> tuple[list[Result], list[Finding]]:
    """Check a chapter, or some of its displays; then what its tables must not do."""
    results: list[Result] = []
    for subject in wanted(chapter, labels) if labels else subjects_of(chapter):
        results += in_time(partial(check_subject, book, chapter, subject), subject.place)
    findings = [result.finding for result in results if result.finding]
    if labels:
        return results, findings
    if not findings:
        for table in chapter.tables:
            findings += in_time(partial(guard_table, book, chapter, table, results), table.place)
    return results, findings + text_findings(book, chapter)


def untouched(book: Book, results: list[Result]) -> list[str]:
    """Public functions and classes that no equation is held against."""
    touched = {name.split(".")[0] for result in results for name in result.against}
    public = {name for name, value in book.module.items() if callable(value) and not name.startswith("_")}
    return sorted(public - touched)


def explain(book: Book, chapter: Chapter, labels: list[str]) -> None:
    """Print how the displays were read."""
    for display in wanted(chapter, labels):
        try:
            for read in read_display(display.tex, book.notation(chapter, display.place.line)):
                print(f"{display.label}: " + "\n    = ".join(map(show, read.sides)))
        except MathError as error:
            print(f"{display.label}: {error}")


def plant(book: Book, chosen: list[Chapter], results: list[Result], labels: list[str]) -> dict[str, Score]:
    """Mutate every display and print what survives."""
    displays = [(chapter, display) for chapter in chosen for display in wanted(chapter, labels)]
    scores = {}
    for (_, display), one in zip(displays, planted(book, displays, results), strict=True):
        scores[one.label] = one
        for survivor in one.survivors:
            tex = " ".join(survivor.tex.split())
            print(f"{display.place}: {one.label}: survives: {survivor.what}: {tex}")
        if not one.is_enough:
            print(f"{display.place}: {one.label}: only {one.killed} of {one.total} mutants noticed")
    killed, total = sum(one.killed for one in scores.values()), sum(one.total for one in scores.values())
    print(f"{killed} of {total} mutants noticed")
    return scores


def planted(book: Book, displays: list[tuple[Chapter, Display]], results: list[Result]) -> Iterator[Score]:
    """The scores of the displays, on all cores."""

    def one(at: int) -> Score:
        return score(book, *displays[at], results)

    if len(displays) < 2:
        yield from map(one, range(len(displays)))
        return
    global _score
    _score = one  # forked processes find it here: the book is not sent to them
    with multiprocessing.get_context("fork").Pool() as pool:
        yield from pool.imap(_score_at, range(len(displays)))


_score: Callable[[int], Score]


def _score_at(at: int) -> Score:
    return _score(at)


if __name__ == "__main__":
    command(main)
