"""A page runs the site's scripts and those that Material wrote into it, nothing else."""

from __future__ import annotations

from literate.weave.finish import digest, with_policy

HEAD = "<head><meta charset=utf-8></head>"


def test_the_policy_names_the_inline_scripts_of_the_page() -> None:
    page = with_policy(
        f'{HEAD}<script>alert(1)</script><script src="a.js"></script>'
        '<script type="application/json">{}</script>'
    )
    assert digest("alert(1)") in page and digest("{}") not in page and digest("") not in page
    assert "unsafe" not in page and page.count("sha256-") == 1
    assert page.index("Content-Security-Policy") < page.index("<script")


def test_a_digest_is_what_browsers_compute() -> None:
    # of the empty script, as in the examples of the standard
    assert digest("") == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
