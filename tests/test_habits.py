"""What is said in several places about the project agrees: versions, commands, pinned actions."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

import pytest

import backprop_core as bp
from equations.check import DRAWS, DRAWS_OF_CASES
from equations.compare import CLOSELY, LIMIT, ROUGHLY
from equations.corners import CORNERS, LARGES, MORE, OF_BRANCHES
from equations.field import P
from literate.chapter import ROOT, WIDTH
from literate.exercises.sheets import FEWEST_WRONG, FORMS, LEVELS, SECONDS
from literate.prove.checks import read_counts
from literate.reader import read_book
from tests.equations.gradient_rows import DRAWS as ROW_DRAWS
from tests.test_cells import LONG, LONGEST, ROWS, WORDS

BROWSER = "tests/proofs/test_browser.py"
BOOK_YML = ".github/workflows/book.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert bp.__version__ == version
    assert f"\nversion: {version}\n" in read("CITATION.cff")
    unreleased, released = re.findall(r"^## \[(.*?)\](?: - (.*))?$", read("CHANGELOG.md"), re.MULTILINE)[:2]
    assert unreleased == ("Unreleased", "")
    assert released[0] == version
    assert f"\ndate-released: {released[1]}\n" in read("CITATION.cff")


def test_each_target_of_make_is_one_documented_command() -> None:
    makefile = read("Makefile").replace("\\\n", "")
    variables = dict(re.findall(r"^(\w+) = (.*)$", makefile, re.MULTILINE))
    rules = {
        target: (needed, [line.strip() for line in recipe.splitlines()])
        for target, needed, recipe in re.findall(
            r"^([a-z]+): *(.*?)(?:##.*)?\n((?:\t.*\n)*)", makefile, re.MULTILINE
        )
    }

    def command(target: str) -> str:
        needed, recipe = rules[target]
        lines = [command(one) for one in needed.split() if one in rules]
        for line in recipe:  # what make is called for once more, or a command
            again = line.split() if line.startswith("@$(MAKE)") else []
            lines += [command(one) for one in again if one in rules] or [line]
        text = " && ".join(lines).replace("$(PYTEST)", variables["PYTEST"]).replace("$(PY)", "python")
        return " ".join(re.sub(r"SOURCE_DATE_EPOCH=\S*\(.*?\) |\.venv/bin/", "", text).split())

    documented = dict(re.findall(r"^\| `(\w+)` \| `(.*)` \|$", read("CONTRIBUTING.md"), re.MULTILINE))
    expected = {target: command(target) for target in rules if target not in ("help", "clean")}
    assert len(expected) > 8 and documented == expected


NUMERALS = dict(enumerate("no one two three four five six seven eight nine ten".split())) | {16: "sixteen"}


def limits() -> list[tuple[str, str]]:
    """(page, what it has to say of the numbers that the tools go by)."""
    counts = read_counts(ROOT / "book").values()
    corners = [one for one in (*CORNERS, *OF_BRANCHES, *MORE) if one not in LARGES]
    sheets, equations = "CONTRIBUTING.md", "scripts/equations/README.md"
    page = "scripts/literate/weave/checks.md"
    digits, fewer = NUMERALS[round(-math.log10(CLOSELY))], NUMERALS[int(-math.log10(LIMIT))]
    power = (P + 1).bit_length() - 1
    (subject,) = re.findall(r"\{(\d+)\}'\n", read(".pre-commit-config.yaml"))  # one more is refused
    heavy = [
        int(n) // 1000
        for n in re.findall(r"^HEAVIEST_(?:CHAPTER|COMPRESSED) = (\S+)", read(BROWSER), re.MULTILINE)
    ]
    makefile, pythons = read("Makefile"), re.findall(r'python(?:-version)?: "([\d.]+)"', read(BOOK_YML))
    newest = max(pythons, key=lambda version: int(version[2:]))
    (recording,) = re.findall(r"^(\w+):.*\n\t.*--record$", makefile, re.MULTILINE)
    return [
        (sheets, f"tests on Linux with Python {pythons[0]} to {newest}, and on macOS"),
        (sheets, f"types are checked with Python {pythons[0]}."),
        ("scripts/README.md", f"as `book/checks.json`: `make {recording}` writes it"),
        (sheets, f"imperative sentence of at most {int(subject) - 1} characters"),
        (sheets, f"At most {LONG} lines for nine cells of ten, and {LONGEST} for any; at most {WIDTH} char"),
        (sheets, f"about {NUMERALS[ROWS]} rows at most"),
        ("scripts/README.md", "a chapter has at most {} KB, {} KB compressed".format(*heavy)),
        ("scripts/README.md", f"for a chapter of at most {heavy[0]} KB"),
        (equations, rf"`\approx` allows {NUMERALS[round(100 * ROUGHLY)]} per cent"),
        (sheets, f"at most {WORDS:,} of them in a chapter"),
        (sheets, f"levels {LEVELS[0]} to {LEVELS[-1]}."),
        (sheets, f"Forms are {', '.join(f'`{form}`' for form in [*FORMS][:-1])} and `{[*FORMS][-1]}`,"),
        (sheets, f"At least {NUMERALS[FEWEST_WRONG]} `tags=["),
        (sheets, f"may run for {NUMERALS[SECONDS]} seconds"),
        (equations, f"to {digits} digits, or {fewer} where differences give"),
        (page, f"show {digits} digits, and {fewer} where a slope is measured"),
        (equations, f"GF(2^{power} - 1)"),
        (equations, f"degree / 2^{power}, here below 1e-15"),
        (page, f"$2^{{{{{power}}}}}-1$ elements"),
        (page, "for a probability below $10^{{-15}}$"),
        (equations, f"on {NUMERALS[DRAWS]} draws of floating"),
        (equations, f"numbers, {NUMERALS[DRAWS_OF_CASES]} where a single draw"),
        (equations, f"below {CLOSELY:.0e} of the largest entry, or {str(LIMIT).replace('e-0', 'e-')} beside"),
        (equations, f"in up to {len(corners)} draws"),
        (equations, f"its forward, {NUMERALS[ROW_DRAWS]} draws"),
        (equations, f"{sum(bool(one['proved']) for one in counts)} of {len(counts)} displays"),
    ]


def unsaid(changes: tuple[str, str] = ("", "")) -> list[str]:
    pages = {page: " ".join(read(page).split()).replace(*changes, 1) for page, _ in limits()}
    return [said for page, said in limits() if said not in pages[page]]


def test_pages_say_the_numbers_that_the_tools_go_by() -> None:
    assert unsaid() == []


@pytest.mark.parametrize(
    "changes",
    [
        ("2,000 of them", "3,000 of them"),
        ("`bug`, `experiment` and", "`experiment` and"),
        ("for ten seconds", "for sixty seconds"),
        ("on five draws", "on fifty draws"),
        ("below 1e-10 of", "below 1e-12 of"),
        ("up to 70 draws", "up to 100 draws"),
        ("at most 72 characters", "at most 80 characters"),
        ("15 lines for nine", "12 lines for nine"),
        ("about eight rows", "about ten rows"),
        ("60 KB compressed", "90 KB compressed"),
        ("allows one per cent", "allows ten per cent"),
        ("checked with Python 3.11", "checked with Python 3.14"),
        ("`make checks` writes it", "`make numbers` writes it"),
        ("show ten digits", "show twelve digits"),
        ("$2^{{61}}-1$", "$2^{{31}}-1$"),
        ("$10^{{-15}}$", "$10^{{-18}}$"),
    ],
)
def test_another_number_is_found(changes: tuple[str, str]) -> None:
    assert len(unsaid(changes)) == 1


def test_figures_have_the_sign_and_words_the_word() -> None:
    """37%, one per cent; neither 37 %, 37 per cent nor a percent."""
    other = re.compile(r"[\d}](?:<!--.*?-->)? (?:%(?! [\d(])|per ?cent\b)|\bpercent\b", re.IGNORECASE)
    pages = *map(ROOT.joinpath, ("README.md", "CONTRIBUTING.md")), *(ROOT / "book").rglob("*.md")
    found = [f"{page.name}: {one[0]}" for page in pages for one in other.finditer(page.read_text("utf-8"))]
    assert found == []


GIVEN = re.compile(r"((?:`\w+`(?:, )?)+) \(chapter (\d+)\)")


def misplaced(text: str) -> list[str]:
    """Names that a page gives to a chapter that does not define them."""
    chapters = {one.number: "\n".join(cell.source for cell in one.core) for one in read_book()}
    given = [(name, int(at)) for names, at in GIVEN.findall(text) for name in re.findall(r"\w+", names)]
    return [name for name, at in given if not re.search(rf"(?:def|class) {name}\b", chapters[at])]


def test_names_belong_to_the_chapters_that_are_named() -> None:
    text = " ".join(read("CONTRIBUTING.md").split())
    assert misplaced(text) == []
    assert misplaced(text.replace("`_expect` (chapter 3)", "`_expect` (chapter 4)")) == ["_expect"]
    wrong = misplaced(text.replace("`_generator` (chapter 1)", "`_generator` (chapter 2)"))
    assert wrong == ["_positive", "_within", "_instances", "_generator"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", action), action


def test_the_lock_has_all_that_is_required_and_names_no_host() -> None:
    lock = read("requirements.lock")
    required = re.findall(r"^([\w-]+)", read("requirements.in"), re.MULTILINE)
    assert required
    for name in required:
        assert re.search(rf"^{name}==", lock, re.MULTILINE), f"{name} is not locked: make lock"
    assert "://" not in lock and "--index-url" not in lock.replace("--no-emit-index-url", "")


def test_a_long_subject_is_refused() -> None:
    (hook,) = re.findall(r"entry: '(.*)'\n +args: \[--multiline\]", read(".pre-commit-config.yaml"))
    assert re.search(hook, "a" * 73 + "\n") and not re.search(hook, "a" * 72 + "\n\n" + "b" * 90)


def test_what_makes_the_site_has_one_version_for_all_pythons() -> None:
    """One that only newer Pythons get is tried by nobody before the workflow."""
    wanted = re.findall(r"^[\w-]+", (ROOT / "requirements.in").read_text(encoding="utf-8"), re.MULTILINE)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    newer = re.findall(r"^([\w-]+)==\S+ ; python_full_version >= '3\.1[2-9]", lock, re.MULTILINE)
    assert newer and not {*wanted} & {*newer}
