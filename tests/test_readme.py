"""The examples in README.md run as they stand there, in order."""

from __future__ import annotations

import doctest
import re

from literate.chapter import ROOT

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
