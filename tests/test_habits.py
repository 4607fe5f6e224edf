"""What is said in several places about the project agrees: versions, commands, pinned actions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import backprop_core as bp
from literate.chapter import ROOT

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
