"""A page asks for little before it shows: few style sheets, no script, its fonts at once."""

from __future__ import annotations

from pathlib import Path

from literate.weave.loading import join_sheets, lightened

PAGE = (
    '<link rel="stylesheet" href="{0}assets/stylesheets/main.1.css">\n'
    '<link rel="stylesheet" href="{0}assets/stylesheets/palette.2.css">\n'
    '<link rel="stylesheet" href="{0}assets/fonts/fonts.css">\n'
    '<link rel="stylesheet" href="{0}assets/book.css">\n'
    '<script>inline()</script><script src="{0}assets/book.js"></script>'
)


def test_style_sheets_become_one_that_finds_its_fonts(tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    for name, text in (
        ("stylesheets/main.1.css", "main{}"),
        (
            "stylesheets/palette.2.css",
            "palette{}[data-md-color-switching] *{a:b}/*# sourceMappingURL=x.map */",
        ),
        ("fonts/fonts.css", "a{src:url(f.woff2)}b{src:url('g.woff2')}c{src:url(data:,)}"),
        ("katex/katex.min.css", "d{src:url(fonts/h.woff2)}"),
        ("book.css", "book{background:url(i.svg);mask:url(#m)}"),
    ):
        (assets / name).parent.mkdir(parents=True, exist_ok=True)
        (assets / name).write_text(text)
    joined = join_sheets(assets)
    assert (assets / "book.css").read_text() == (
        "palette{}\na{src:url(fonts/f.woff2)}b{src:url('fonts/g.woff2')}c{src:url(data:,)}\n"
        "d{src:url(katex/fonts/h.woff2)}\nbook{background:url(i.svg);mask:url(#m)}"
    )
    left = sorted(path.relative_to(assets).as_posix() for path in assets.rglob("*.css"))
    assert left == ["book.css", "stylesheets/main.1.css"]
    for up in ("", "../"):
        text = lightened(PAGE.format(up), joined, f"{up}assets/")
        assert text.count("<link rel") == 2
        assert text.index("main.1.css") < text.index(f'"{up}assets/book.css"')
        assert f'href:"{up}assets/fonts/"' in text


def test_scripts_of_files_wait_and_those_of_the_page_do_not() -> None:
    page = lightened(f"{PAGE.format('')}</body>", {"fonts/fonts.css"}, "assets/")
    assert "<script>inline()</script><script>{let ask=" in page
    dark = lightened("<html><body x><p>text</p></body>", set(), "assets/")
    assert '<body x><script>if(matchMedia("(prefers-color-scheme: dark)")' in dark
    assert 'of ["assets/book.js"])' in page and "<script src" not in page
    assert page.index("preload") < page.index("main.1.css")
    assert "fonts.css" not in page and "palette" in page
