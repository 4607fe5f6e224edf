"""What has been worked out once is kept for the next build, under a name that says all it depends on."""

import contextlib
import functools
import hashlib
import pickle
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from .chapter import ROOT
from .files import write_atomically

P = ParamSpec("P")
T = TypeVar("T")
SCRIPTS = Path(__file__).resolve().parents[1]
SETTINGS = ("mkdocs.yml", "pyproject.toml", "package.json", "package-lock.json")


def name_of(*parts: object) -> str:
    """A short name for texts, and for what shows all of itself in its ``repr``."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = part if isinstance(part, str) else repr(part)
        data = text.encode(errors="surrogatepass")
        digest.update(f"{type(part).__name__} {len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()


def _tools() -> str:
    """What works everything out: these programs, their settings, and all that is installed."""
    own = [path for path in SCRIPTS.rglob("*") if "__pycache__" not in path.parts]
    files = [path for path in sorted([*own, *(ROOT / name for name in SETTINGS)]) if path.is_file()]
    texts = [(str(path), path.read_bytes()) for path in files]
    installed = sorted(path.name for folder in map(Path, sys.path) for path in folder.glob("*-info"))
    return name_of(texts, installed, platform.python_version(), platform.platform())


TOOLS = _tools()  # as this process found them: it goes on with them, whatever becomes of the files


class Kept:
    """Values by name, in a file. What nobody asks for is not written again."""

    def __init__(self, file: Path, tools: str = "") -> None:
        self.file, self.tools = file, tools or TOOLS
        self.values: dict[str, bytes] = {}
        self.asked: set[str] = set()
        with contextlib.suppress(Exception):  # there is none, or something has broken it
            self.values = dict(pickle.loads(file.read_bytes()))

    def has(self, *parts: object) -> bool:
        """Whether ``get`` has it."""
        return name_of(self.tools, *parts) in self.values

    def get(self, make: Callable[[], T], *parts: object) -> T:
        """What ``make`` returns, which must follow from ``parts`` and the tools alone."""
        name = name_of(self.tools, *parts)
        self.asked.add(name)
        if name not in self.values:
            self.values[name] = pickle.dumps(make())
        value: T = pickle.loads(self.values[name])  # as it was made, whatever has become of it
        return value

    def save(self) -> None:
        self.values = {name: value for name, value in self.values.items() if name in self.asked}
        write_atomically(self.file, pickle.dumps(self.values))


store: Kept | None = None  # of the build that is going on


def across_builds(of: Callable[P, object]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep what a function returns, if a build is going on. ``of`` says what that depends on."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def kept(*args: P.args, **kwargs: P.kwargs) -> T:
            if store is None:
                return function(*args, **kwargs)
            return store.get(lambda: function(*args, **kwargs), function.__qualname__, of(*args, **kwargs))

        return kept

    return decorate
