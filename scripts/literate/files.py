"""Files that are read with a clear complaint, and written whole or not at all."""

import contextlib
import copy
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from .chapter import BookError, Place, shown_path

TEMPORARY = re.compile(r"(?:\..+\.|book-|site-)(\d+)(?:\.new|-\w+)?")  # says which process made it
LARGEST = 10_000_000  # bytes of a file that is read
A_DAY = 24 * 60 * 60


def read_text(path: Path) -> str:
    """The text of a file, its lines ended by ``\\n``."""
    data = b""
    try:
        found = path.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise BookError(path, "not a file, but a pipe, a socket or a device")
        if found.st_size > LARGEST:
            raise BookError(path, f"a file of {found.st_size:,} bytes, at most {LARGEST:,}")
        data = path.read_bytes()
        return data.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].decode().replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        raise BookError(Place(path, line), f"not UTF-8 ({error.reason} at byte {error.start})") from error
    except OSError as error:
        nowhere = isinstance(error, FileNotFoundError) and path.is_symlink()
        raise BookError(path, "a link that leads nowhere" if nowhere else reason(error)) from None


def read_toml(path: Path) -> dict[str, Any]:
    """What a file of settings, or one of the book's lists, says."""
    try:
        return copy.deepcopy(_toml(read_text(path)))
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise BookError(Place(path, int(line[1])) if line else path, f"not TOML: {error}") from None


@functools.lru_cache(maxsize=16)
def _toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def write_atomically(path: Path, text: str | bytes) -> None:
    """Write all of the file or nothing."""
    path = Path(os.path.realpath(path))
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        _stage(path, new, text)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise BookError(path, f"cannot be written, and is as it was: {reason(error)}") from None


def write_all(texts: Mapping[Path, str], journal: Path) -> None:
    """Write all of the files or none. What a kill interrupts, ``finish`` ends at the next run."""
    plan: list[tuple[str, str, str]] = []
    try:
        for path, text in texts.items():
            plan.append((str(_staged(path)), os.path.realpath(path), _digest(path)))
            _stage(path, _staged(path), text)
        write_atomically(journal, json.dumps(plan))
    except (BookError, OSError) as error:
        finish(journal, texts)
        said = str(error) if isinstance(error, BookError) else reason(error)
        raise BookError(path, f"cannot be written, and nothing was changed: {said}") from None
    finish(journal, texts)


def finish(journal: Path, paths: Iterable[Path]) -> None:
    """End what a killed ``write_all`` has begun, or take away what it had only prepared."""
    plan = json.loads(read_text(journal)) if journal.exists() else []
    waiting = [(Path(new), Path(old), digest) for new, old, digest in plan if os.path.exists(new)]
    for new, old, digest in waiting:
        if _digest(old) != digest:
            raise BookError(
                old,
                f"it was changed after --untangle had been interrupted, which left {shown_path(new)}; "
                f"keep one of the two as {old.name}, remove the other, and {shown_path(journal)}",
            )
    try:
        for new, old, _ in waiting:
            new.replace(old)
        journal.unlink(missing_ok=True)
        for path in paths:
            _staged(path).unlink(missing_ok=True)
    except OSError as error:
        raise BookError(journal, f"{reason(error)}; when that is mended, --untangle goes on") from None


def _staged(path: Path) -> Path:
    path = Path(os.path.realpath(path))
    return path.with_name(f".{path.name}.staged")


def _stage(path: Path, new: Path, text: str | bytes) -> None:
    """Write ``new``, which is to take the place of ``path``."""
    try:
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        if path.exists():
            shutil.copymode(path, new)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def command(main: Callable[[], int]) -> NoReturn:
    """Run a program to its end, also when nobody listens to it, and end without a traceback."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed; else the next file to be opened would take its number
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  open to the end
    out: Any = sys.stdout
    out.reconfigure(encoding=out.encoding if out.isatty() else "utf-8", errors="replace")
    status = 1
    try:
        status = main()
        out.flush()
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            where = shown_path(Path(error.filename)) if error.filename else "standard output"
            print(f"{where}: {reason(error)}", file=sys.stderr)
    with contextlib.suppress(OSError):
        out.flush()
        sys.exit(status)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what was not heard would be said once more
    sys.exit(status)


# -- what other runs have left, or are doing --------------------------------------------


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders of processes that are no more."""
    for path in (path for pattern in (".*.new", "book-*", "site-*") for path in folder.glob(pattern)):
        with contextlib.suppress(OSError):  # another sweeps, too, or it is somebody else's
            if (found := TEMPORARY.fullmatch(path.name)) and _is_left(path, int(found[1])):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_left(path: Path, process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return path.lstat().st_mtime < time.time() - A_DAY  # its number has been given to another since


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder. If this process is killed, the next that wants one removes it."""
    sweep(Path(tempfile.gettempdir()))
    prefix = f"book-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(os.path.realpath(folder))


@contextlib.contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Refuse to do what another process is doing in this folder. However that ends, the folder is free."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BookError(folder, f"{what} is running here; wait until it has ended, or stop it") from None
    else:
        yield
    finally:
        os.close(descriptor)
