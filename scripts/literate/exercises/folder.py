"""The reader's folder: a file for each chapter, written once and never again."""

from collections.abc import Iterator
from pathlib import Path

from literate.chapter import ROOT, BookError
from literate.files import read_text, write_atomically

from .marker import COMMAND, Answer, Marker
from .sheets import FOLDER, Sheet
from .stubs import reader_file

FILES = ROOT / FOLDER


def file_of(sheet: Sheet, folder: Path = FILES) -> Path:
    """The reader's file; one that has the chapter's former number is still theirs."""
    path = folder / sheet.file
    if not path.exists():
        former = sorted(folder.glob(f"[0-9][0-9]_{sheet.key.replace('-', '_')}.py"))
        path = former[0] if former else path
    return path


def write(marker: Marker, folder: Path = FILES) -> Iterator[tuple[Path, bool]]:
    """Write the files that are not there; (path, whether it was written)."""
    for sheet in marker.sheets:
        path = file_of(sheet, folder)
        if path.exists() or path.is_symlink():
            yield path, False
        else:
            write_atomically(path, reader_file(sheet, marker.core)[0])
            yield path, True


def answers(marker: Marker, sheet: Sheet, folder: Path = FILES) -> list[Answer]:
    """The exercises of a chapter as the reader's file answers them."""
    path = file_of(sheet, folder)
    if not path.exists():
        raise BookError(path, f"not there; {COMMAND} writes it")
    source = read_source(path)
    return [Answer(sheet, exercise, path, source) for exercise in sheet.exercises]


def read_source(path: Path) -> str:
    """A reader's file; some editors begin it with a mark that Python takes for a name."""
    return read_text(path).removeprefix("\ufeff")


def course(marker: Marker, folder: Path = FILES) -> dict[str, tuple[Path, str]]:
    """The reader's files by chapter, those that are there."""
    paths = {sheet.key: file_of(sheet, folder) for sheet in marker.sheets}
    return {key: (path, read_source(path)) for key, path in paths.items() if path.exists()}
