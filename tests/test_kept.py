"""What is kept between builds has all that it depends on in its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from literate import kept
from literate.kept import Kept, across_builds, name_of


def test_a_value_is_made_once_for_the_same_parts(tmp_path: Path) -> None:
    made: list[str] = []

    def make(value: str) -> list[str]:
        made.append(value)
        return [value]

    store = Kept(tmp_path / "new" / "kept")
    store.get(lambda: make("a"), "x", ["y"]).append("changed by who asked")
    assert store.get(lambda: make("b"), "x", ["y"]) == ["a"]
    store.save()
    store = Kept(tmp_path / "new" / "kept")
    assert store.has("x", ["y"]) and not store.has("x", "['y']")
    assert store.get(lambda: make("c"), "x", ["y"]) == ["a"]
    store.get(lambda: make("d"), "xy", [])
    assert not Kept(tmp_path / "new" / "kept", "other tools").has("x", ["y"])
    assert made == ["a", "d"]


def test_names_tell_parts_apart() -> None:
    parts = [
        (),
        ("",),
        ("a", "b"),
        ("ab",),
        ("a", "b", ""),
        ("1",),
        (1,),
        (1.0,),
        (["a"],),
        (("a",),),
        ("\ud800",),
    ]
    assert len({name_of(*one) for one in parts}) == len(parts)


def test_what_nobody_asks_for_goes_and_a_broken_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    for asked in ("a", "b"):
        store = Kept(file)
        store.get(str, asked)
        store.save()
    assert Kept(file).has("b") and not Kept(file).has("a")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    file.write_bytes(file.read_bytes()[:-20])
    assert Kept(file).values == {}


def test_the_tools_are_their_texts_and_all_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in kept.SETTINGS:
        (tmp_path / name).write_text(name)
    (tmp_path / "scripts" / "weave").mkdir(parents=True)
    (tmp_path / "site").mkdir()
    monkeypatch.setattr(kept, "ROOT", tmp_path)
    monkeypatch.setattr(kept, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    found = [kept._tools()]
    for change in (
        lambda: (tmp_path / "scripts" / "weave" / "a.py").write_text("1"),
        lambda: (tmp_path / "scripts" / "weave" / "a.py").write_text("2"),
        lambda: (tmp_path / "scripts" / "a.toml").write_text("2"),
        lambda: (tmp_path / "mkdocs.yml").write_text("other"),
        lambda: (tmp_path / "package-lock.json").unlink(),
        lambda: (tmp_path / "site" / "mkdocs-1.6.dist-info").mkdir(),
        lambda: (tmp_path / "site" / "mkdocs-1.6.dist-info").rename(
            tmp_path / "site" / "mkdocs-1.7.dist-info"
        ),
    ):
        change()
        found.append(kept._tools())
    assert len({*found}) == len(found)
    (tmp_path / "scripts" / "__pycache__").mkdir()
    (tmp_path / "scripts" / "__pycache__" / "a.pyc").write_text("1")
    assert kept._tools() == found[-1]


def test_a_function_keeps_what_it_returns_while_a_build_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    @across_builds(lambda text, place: text)
    def upper(text: str, place: int) -> str:
        made.append(text)
        return text.upper()

    assert [upper("a", 1), upper("a", 1)] == ["A", "A"] and made == ["a", "a"]
    monkeypatch.setattr(kept, "store", Kept(tmp_path / "kept"))
    assert [upper("a", 1), upper("a", 2), upper("b", 1)] == ["A", "A", "B"] and made == ["a", "a", "a", "b"]
