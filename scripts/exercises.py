"""Write the exercises into exercises/, mark them, and say how far they are.

python scripts/exercises.py                   write what is missing, mark all, show how far it is
python scripts/exercises.py linear            mark one chapter, with all that is to be said
python scripts/exercises.py --watch linear    the same, again whenever its file is saved
python scripts/exercises.py --stub NAME       print the stub of an exercise, to get it back
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from literate.chapter import BookError, shown_path
from literate.exercises import folder
from literate.exercises.marker import COMMAND, Answer, Marker, Verdict, did_you_mean
from literate.exercises.sheets import Sheet
from literate.exercises.stubs import section
from literate.files import command
from literate.reader import read_book

SIGNS = {"passed": "✓", "failed": "✗", "todo": "·", "open": "○"}
BAR = 30


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapter", nargs="?", help="its name, its number or your file")
    parser.add_argument("--watch", action="store_true", help="mark again whenever the file is saved")
    parser.add_argument("--stub", metavar="NAME", help="print the stub of this exercise")
    options = parser.parse_args(arguments)
    try:
        marker = Marker(read_book())
        if options.stub:
            return print_stub(marker, options.stub)
        new = [is_new for _, is_new in folder.write(marker)]
        if options.chapter:
            sheet = marker.sheet(options.chapter)
            return watch(marker, sheet) if options.watch else mark(marker, sheet)
        if options.watch:
            raise BookError(Path("exercises"), "name the chapter to watch, as in --watch linear")
        print(
            f"{shown_path(folder.FILES)}/: {new.count(True)} files written, "
            f"{new.count(False)} kept as they were\n"
        )
        return progress(marker)
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def print_stub(marker: Marker, name: str) -> int:
    for sheet in marker.sheets:
        for exercise in sheet.exercises:
            if exercise.name == name:
                print(section(exercise, sheet, marker.core), end="")
                return 0
    names = [exercise.name for sheet in marker.sheets for exercise in sheet.exercises]
    if meant := did_you_mean(name.replace("_", "-"), names):
        raise BookError(Path(name), f"no exercise has this name{meant}")
    raise BookError(Path(name), f"no exercise has this name; there are {', '.join(names)}")


def marked(marker: Marker, sheet: Sheet) -> list[tuple[Answer, Verdict]]:
    answers = folder.answers(marker, sheet)
    return list(zip(answers, marker.mark(answers, folder.course(marker)), strict=True))


def mark(marker: Marker, sheet: Sheet) -> int:
    """Mark a chapter and say everything. 0 if all of it holds."""
    found = marked(marker, sheet)
    for answer, verdict in found:
        print(f"{SIGNS[verdict.state]} {marker.heading(answer)}")
        if verdict.message:
            print("    " + verdict.message.replace("\n", "\n    "))
    print(f"\n{bar([verdict for _, verdict in found])}  {shown_path(found[0][0].path)}")
    return int(any(verdict.state in ("failed", "todo") for _, verdict in found))


def watch(marker: Marker, sheet: Sheet) -> int:
    path, before = folder.file_of(sheet), None
    while True:
        now = path.stat().st_mtime_ns if path.exists() else None
        if now != before:
            before = now
            print(f"\n---- {time.strftime('%H:%M:%S')} ----")
            try:
                mark(marker, sheet)
            except BookError as error:
                print(error)
            print(f"Waiting for {shown_path(path)} to be saved; Ctrl-C ends it.", flush=True)
        time.sleep(0.3)


def bar(verdicts: Sequence[Verdict], width: int = 10) -> str:
    counted = [verdict for verdict in verdicts if verdict.state != "open"]
    done = sum(verdict.state == "passed" for verdict in counted)
    full = width * done // max(len(counted), 1)
    return f"{'█' * full}{'░' * (width - full)} {done} of {len(counted)}"


def progress(marker: Marker) -> int:
    """A line for each chapter, then which equations hold in the reader's code."""
    everything: list[tuple[Answer, Verdict]] = []
    answers = [folder.answers(marker, sheet) for sheet in marker.sheets]
    verdicts = marker.mark([one for listed in answers for one in listed], folder.course(marker))
    for sheet, listed in zip(marker.sheets, answers, strict=True):
        found = [(one, next(verdicts)) for one in listed]
        everything += found
        signs = "".join(SIGNS[verdict.state] for _, verdict in found)
        shown = bar([verdict for _, verdict in found])
        title = sheet.chapter.title if len(sheet.chapter.title) <= 34 else f"{sheet.chapter.title[:33]}…"
        print(
            f"{sheet.chapter.number:>3}  {title:34}  {shown:18}  {signs:8}  {shown_path(found[0][0].path)}",
            flush=True,
        )
    print(f"\n     {bar([verdict for _, verdict in everything], BAR)} exercises")
    holds, wanted = equations(everything)
    numbers = ", ".join(marker.core.number(label) for label in holds)
    print(f"     {len(holds)} of {len(wanted)} equations hold in your code{numbers and ': ' + numbers}")
    if failed := [answer for answer, verdict in everything if verdict.state == "failed"]:
        keys = list(dict.fromkeys(answer.sheet.key for answer in failed))
        count = "1 answer does" if len(failed) == 1 else f"{len(failed)} answers do"
        print(f"     {count} not hold yet; {COMMAND} {keys[0]} says why")
    elif todo := [answer for answer, verdict in everything if verdict.state == "todo"]:
        print(f"     Next: {marker.heading(todo[0])}, in {shown_path(todo[0].path)}")
    return 0


def equations(found: Sequence[tuple[Answer, Verdict]]) -> tuple[list[str], list[str]]:
    """The equations that tasks of writing and deriving name: those that hold, and all."""
    labels: dict[str, bool] = {}
    for answer, verdict in found:
        if answer.exercise.form in ("write", "pencil"):
            for label in answer.exercise.labels:
                labels[label] = labels.get(label, True) and verdict.state == "passed"
    return [label for label, holds in labels.items() if holds], list(labels)


if __name__ == "__main__":
    command(main)
