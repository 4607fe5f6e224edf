"""The examples in README.md run as they stand there, in order, and what it says of the book is so."""

from __future__ import annotations

import doctest
import re
import tomllib

import pytest

from literate.chapter import BOOK, ROOT
from literate.prove.checks import read_counts
from literate.reader import read_book
from literate.tangle.module import tangle

FENCE = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    assert fences
    namespace: dict = {"__name__": "__main__"}
    for fence in fences:
        line = text.count("\n", 0, fence.start(2))
        if fence[1] == "python":
            exec(compile("\n" * line + fence[2], ROOT / "README.md", "exec"), namespace)
        else:
            test = doctest.DocTestParser().get_doctest(fence[2], namespace, "README", "README.md", line)
            assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
            namespace.update(test.globs)


NUMERALS = "no one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()


def facts() -> list[str]:
    """What README.md has to say, as the book, the nav and the package have it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chapters = {chapter.path.stem: chapter for chapter in read_book()}
    patients = len(re.findall(r"^\*\*Patient \d+ ", chapters["23-clinic"].text, re.MULTILINE))
    mean = "means[convolutional, 'in order']"
    read = {one.shown for one in chapters["14-convolution"].numbers if mean in one.expression}
    (answered,) = (one.rstrip("%") for one in read if one.endswith("%"))
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (only,) = (re.split(r"\W", one)[0] for one in project["dependencies"])
    counts = read_counts(BOOK).values()
    planted, noticed = (sum(one[what] for one in counts) for what in ("planted", "noticed"))
    ignored = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    slow = [one for one in ignored["norecursedirs"] if (ROOT / "tests" / one).is_dir()]
    displays = [display for chapter in chapters.values() for display in chapter.displays]
    kinds = "limit", "series", "approximation", "average"
    told = [display.unchecked for display in displays if display.label and display.unchecked]
    many = [(kind, sum(kind in reason for reason in told)) for kind in kinds]
    reasons = [f"{NUMERALS[n] if n > 1 else 'an' if kind[0] == 'a' else 'a'} {kind}" for kind, n in many]
    unchecked = len(told)
    return [
        f"Python {project['requires-python'].removeprefix('>=')} or later",
        f"with {'NumPy' if only == 'numpy' else only} as its only dependency",
        f"{answered} of 100 unseen digits",
        f"{NUMERALS[patients]} networks that do not learn",
        f"Every numbered equation but {NUMERALS[unchecked]} is read",
        f"The {NUMERALS[unchecked]} ({', '.join(reasons)})",
        f"more than {planted // 1000},000 changes planted in the formulas",
        f"all but {planted - noticed} are noticed, and those {planted - noticed} leave",
        *(f"the slow ones are in `tests/{folder}/`" for folder in slow),
        f"git clone {project['urls']['Repository']} cd {project['name']} make site",
        *(f"{part}, *{name}*" for part, name in re.findall(r"- (Part [IV]+) · (.*):$", nav, re.MULTILINE)),
    ]


def unsaid(text: str) -> list[str]:
    plain = " ".join(text.split())
    return [fact for fact in facts() if fact not in plain]


def test_what_it_says_of_book_and_package_is_so() -> None:
    assert unsaid((ROOT / "README.md").read_text(encoding="utf-8")) == []
    preface = (BOOK / "index.md").read_text(encoding="utf-8")
    assert [fact for fact in unsaid(preface) if fact.startswith("Part")] == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("98 of 100", "95 of 100"),
        ("twelve networks", "ten networks"),
        ("NumPy as its only", "SciPy as its only"),
        ("more than 9,000 changes", "more than 12,000 changes"),
        ("equation but five", "equation but four"),
        ("(a limit, two series,", "(two limits, a series,"),
        ("all but 21 are", "all but 12 are"),
        ("github.com/backprop-core/backprop-core", "github.com/backprop-core/book"),
        ("Python 3.11 or", "Python 3.9 or"),
        ("Part III, *Auto", "Part II, *Auto"),
        ("in `tests/proofs/`", "in `tests/equations/`"),
    ],
)
def test_another_claim_is_found(right: str, wrong: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert right in text and unsaid(text.replace(right, wrong))


@pytest.mark.parametrize("page", ["README.md", "scripts/README.md", "scripts/tangle.py"])
def test_the_line_that_it_asks_for_comes_from_the_book(page: str) -> None:
    lines = re.findall(r"--where (\d+)", (ROOT / page).read_text(encoding="utf-8"))
    places = tangle(read_book()).places
    assert lines and [line for line in lines if int(line) not in places] == []


PAGES = "README.md", "CONTRIBUTING.md", "book/index.md", "scripts/README.md", "scripts/equations/README.md"
MADE = re.compile(r"site/|exercises/|\.cache/|\.venv/|assets/figures/|book/NN-name|(?:checks|exercises)\.md$")
FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)+/?|[\w-]+/|[\w-]+\.(?:md|py|toml|json)")


def nowhere(page: str, text: str) -> list[str]:
    """The files that a page names, in backticks or links, that do not exist and that nothing makes."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    words = [word for code in re.findall(r"`([^`\n]+)`", text) for word in code.split()]
    words += re.findall(r"\]\((?!http)([^)#]+)", text)
    bases = ROOT, (ROOT / page).parent, ROOT / "book", ROOT / "scripts", ROOT / "scripts" / "literate"
    files = [one for one in words if FILE.fullmatch(one) and not MADE.match(one)]
    return [one for one in files if not any(list(base.glob(f"{one.rstrip('/')}*")) for base in bases)]


@pytest.mark.parametrize("page", PAGES)
def test_files_that_it_names_exist(page: str) -> None:
    assert nowhere(page, (ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "wrong", ["`.venv/bin/pytest book/4-linear.md`", "`syntaxes.py`", "[it](04-liner.md)"]
)
def test_a_file_that_does_not_exist_is_found(wrong: str) -> None:
    assert len(nowhere("book/index.md", f"See {wrong} and `book/04-linear.md`.")) == 1
