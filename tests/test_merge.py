"""Classes that grow: what is joined, and what is refused because it would mean something else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from literate.chapter import BookError
from literate.tangle.module import tangle
from tests.books import complaint, core_book, core_chapter


def test_joined() -> None:
    """Byte for byte, comments and blank lines included, below the first piece."""
    book = core_book('''
class A:
    """A class."""

    def f(self):
        return 1  # one
---
def between():
    return A().g()
===
from backprop_core import A
---
class A(A):
    # before

    def g(self):
        return (2,
    3)
    # after
''')
    module = tangle(book).text
    assert (
        module[module.index("# 01") : module.index("# digest")]
        == '''\
# 01 Sample 1 · 1-1
class A:
    """A class."""

    def f(self):
        return 1  # one

    # 02 Sample 2 · 2-1
    # before

    def g(self):
        return (2,
    3)
    # after


# 01 Sample 1 · 1-2
def between():
    return A().g()


'''
    )


A = """\
class A:  # <1>
    def f(self):  # <2>
        return 1
---
"""
G = "    def g(self):\n        return 1"
FORM = "a cell that continues a class begins with 'class A(A):' and holds nothing else: "
FORM += "no decorator, no other base, no comment above (A begins at <1> and goes on at "
BOTH = "(A begins at <1> and goes on at <A+>)"
TWICE = "is already defined at <2>; a method is written once, a toy version belongs in a demonstration"

REFUSED = {
    "nothing to continue": ("class A(A):\n" + G, "<A+>: no core cell above defines A, which this continues"),
    "a function to continue": (
        "def A(): ...  # <1>\n---\nclass A(A):\n" + G,
        "<A+>: A at <1> is no class to continue",
    ),
    "a class defined twice": (
        A + "class A:  # <3>\n" + G,
        "<3>: A is already defined at <1>; define it once "
        "(a toy version is a demonstration, a class is continued with 'class A(A):')",
    ),
    "a name defined twice": (
        "K = 1  # <1>\n---\ndef f(): ...\n===\nfrom backprop_core import K\n---\nX, K = 1, 2  # <2>",
        "<2>: K is already defined at <1>; define it once "
        "(a toy version is a demonstration, a class is continued with 'class K(K):')",
    ),
    # -- form
    "a decorator": (A + "@print  # <3>\nclass A(A):\n" + G, f"<3>: {FORM}<3>)"),
    "a base after": (A + "class A(A, np.ndarray):  # <3>\n" + G, f"<3>: {FORM}<3>)"),
    "a base before": (A + "class A(np.ndarray, A):  # <3>\n" + G, f"<3>: {FORM}<3>)"),
    "a keyword": (A + "class A(A, metaclass=type):  # <3>\n" + G, f"<3>: {FORM}<3>)"),
    "a comment above": (A + "# this  # <3>\nclass A(A):\n" + G, f"<3>: {FORM}<3>)"),
    "something else above": (A + "K = 1  # <3>\n\n\nclass A(A):\n" + G, f"<3>: {FORM}<3>)"),
    "something else below": (A + "class A(A):\n" + G + "\n\n\nK = 1", f"<A+>: {FORM}<A+>)"),
    "all in one line": (A + "class A(A): pass  # <3>", f"<3>: {FORM}<3>)"),
    "a docstring": (
        A + 'class A(A):\n    """More."""  # <3>\n\n' + G,
        f"<3>: a continuation holds methods only; docstring and state belong to the first piece {BOTH}",
    ),
    "a constant": (
        A + "class A(A):\n    k = 1  # <3>\n\n" + G,
        f"<3>: a continuation holds methods only; docstring and state belong to the first piece {BOTH}",
    ),
    "an annotation": (
        A + "class A(A):\n    k: int  # <3>\n\n" + G,
        f"<3>: a continuation holds methods only; docstring and state belong to the first piece {BOTH}",
    ),
    "other indentation": (
        A + "class A(A):\n  def g(self):  # <3>\n    return 1",
        f"<3>: a class that grows is indented by 4 spaces {BOTH}",
    ),
    "other indentation in the first piece": (
        "class A:  # <1>\n  k = 1  # <2>\n---\nclass A(A):\n" + G,
        f"<2>: a class that grows is indented by 4 spaces {BOTH}",
    ),
    "a tab that counts as four": (
        A + "class A(A):\n\t   def g(self):\n\t    return 1",
        f"<A+>: the texts of the pieces cannot be joined {BOTH}",
    ),
    "something below the first piece": (
        "class A:  # <1>\n    k = 1\n\n\nK = 1\n---\nclass A(A):\n" + G,
        f"<A+>: something follows A in its first cell, so it cannot grow; divide that cell {BOTH}",
    ),
    # -- what acts on each piece
    "a decorated class": (
        "@np.vectorize\nclass A:  # <1>\n    k = 1\n---\nclass A(A):\n" + G,
        f"<A+>: A has a decorator, which would act on each piece {BOTH}",
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n---\n@dataclass\nclass A:  # <1>\n    k: int\n---\nclass A(A):\n"
        + G,
        f"<A+>: A has a decorator, which would act on each piece {BOTH}",
    ),
    "an enum": (
        "from enum import Enum\n---\nclass A(Enum):  # <1>\n    k = 1\n---\nclass A(A):\n" + G,
        f"<1>: Enum is a base that may act on each piece of A {BOTH}",
    ),
    "a named tuple": (
        "from typing import NamedTuple\n---\nclass A(NamedTuple):  # <1>\n    k: int\n---\nclass A(A):\n" + G,
        f"<1>: NamedTuple is a base that may act on each piece of A {BOTH}",
    ),
    "a metaclass": (
        "class A(metaclass=type):  # <1>\n    k = 1\n---\nclass A(A):\n" + G,
        f"<1>: metaclass=type would act on each piece of A {BOTH}",
    ),
    "a metaclass of a base": (
        "class B(metaclass=type):  # <2>\n    k = 1\n---\nclass A(B):  # <1>\n    l = 1\n---\nclass A(A):\n"
        + G,
        f"<2>: metaclass=type would act on each piece of A {BOTH}",
    ),
    "an alias as base": (
        "B = object\n---\nclass A(B):  # <1>\n    k = 1\n---\nclass A(A):\n" + G,
        f"<A+>: B is no class of the book, it may act on each piece of A {BOTH}",
    ),
    "__init_subclass__ in a base": (
        "class C:\n    def __init_subclass__(cls): ...  # <2>\n\n\nclass B(C): ...\n---\n"
        "class A(B):  # <1>\n    k = 1\n---\nclass A(A):\n" + G,
        f"<2>: C.__init_subclass__ would act on each piece of A {BOTH}",
    ),
    "__init_subclass__ in a piece": (
        A + "class A(A):\n    def __init_subclass__(cls): ...  # <3>",
        f"<3>: A.__init_subclass__ would act on each piece of A {BOTH}",
    ),
    "__subclasshook__": (
        A + "class A(A):\n    @classmethod\n    def __subclasshook__(cls, other): ...  # <3>",
        f"<3>: A.__subclasshook__ would act on each piece of A {BOTH}",
    ),
    "__slots__": (
        "class A:  # <1>\n    __slots__ = ('k',)  # <2>\n---\nclass A(A):\n" + G,
        f"<2>: A.__slots__ would act on each piece of A {BOTH}",
    ),
    "a descriptor that learns its owner": (
        "class D:\n    def __set_name__(self, owner, name): ...\n---\n"
        "class A:  # <1>\n    k = D()\n---\nclass A(A):\n" + G,
        f"<A+>: D.__set_name__ would tell the pieces of A apart {BOTH}",
    ),
    # -- members
    "a method written twice": (A + "class A(A):\n    def f(self): ...  # <3>", f"<3>: A.f {TWICE}"),
    "a method written twice, later": (
        "class A:\n    k = 1\n---\nclass A(A):\n    def f(self): ...  # <2>\n---\n"
        "class A(A):\n    def f(self): ...  # <3>",
        f"<3>: A.f {TWICE}",
    ),
    "a constant overwritten": (
        "class A:\n    for k in range(3): ...  # <2>\n---\nclass A(A):\n    def k(self): ...  # <3>",
        f"<3>: A.k {TWICE}",
    ),
    "__eq__, then __hash__": (
        "class A:\n    def __eq__(self, other): ...  # <2>\n---\n"
        "class A(A):\n    def __hash__(self): ...  # <3>",
        f"<3>: A.__hash__ {TWICE}",
    ),
    "__hash__, then __eq__": (
        "class A:\n    def __hash__(self): ...  # <2>\n---\n"
        "class A(A):\n    def __eq__(self, other): ...  # <3>",
        f"<3>: A.__hash__ {TWICE}",
    ),
    # -- methods that notice
    "super() for an earlier piece": (
        A + "class A(A):\n    def g(self):\n        return super().f()  # <3>",
        "<3>: super().f means an earlier piece of A, at <2>; write self.f, in the module they are one class",
    ),
    "super() as a value": (
        A + "class A(A):\n    def g(self):\n        return getattr(super(), 'f')  # <3>",
        f"<3>: super means one piece of a class that grows; write super().name or type(self) {BOTH}",
    ),
    "super(A, self) in the first piece": (
        "class A:  # <1>\n    def f(self):\n        return super(A, self).g()  # <2>\n---\nclass A(A):\n" + G,
        f"<2>: super means one piece of a class that grows; write super().name or type(self) {BOTH}",
    ),
    "__class__": (
        A + "class A(A):\n    def g(self):\n        return type(self) is __class__  # <3>",
        f"<3>: __class__ means one piece of a class that grows; write super().name or type(self) {BOTH}",
    ),
    "the bases": (
        A + "class A(A):\n    def g(self):\n        return type(self).__mro__  # <3>",
        f"<3>: __mro__ shows the pieces of a class that grows {BOTH}",
    ),
    "the members": (
        "class A:  # <1>\n    def f(self):\n        return vars(A)  # <2>\n---\nclass A(A):\n" + G,
        f"<2>: vars() shows the pieces of a class that grows {BOTH}",
    ),
    # -- what is evaluated at definition
    "a default value defined in between": (
        A + "K = 1  # <3>\n---\nclass A(A):\n    def g(self, k=K): ...  # <4>",
        f"<4>: K would be evaluated where the class begins; use it inside a method {BOTH}",
    ),
    "the class as a default value": (
        A + "class A(A):\n    def g(self, k=A.f): ...  # <3>",
        f"<3>: A would be evaluated where the class begins; use it inside a method {BOTH}",
    ),
    "a default value that means a member": (
        A + "f = 1\n---\nclass A(A):\n    def g(self, *, k=[f for _ in range(3)]): ...  # <3>",
        f"<3>: f would be evaluated where the class begins; use it inside a method {BOTH}",
    ),
    "a setter": (
        "class A:  # <1>\n    @property\n    def k(self): ...  # <2>\n---\n"
        "class A(A):\n    @k.setter  # <3>\n    def l(self): ...",
        f"<3>: k would be evaluated where the class begins; use it inside a method {BOTH}",
    ),
    "a decorator of the book": (
        "def d(f):\n    return f\n---\n" + A + "class A(A):\n    @d  # <3>\n    def g(self): ...",
        f"<3>: d would be evaluated where the class begins; use it inside a method {BOTH}",
    ),
    "a default value that the book computes": (
        "def d(f):\n    return f\n---\n" + A + "class A(A):\n    def g(self, k=d(1)): ...  # <3>",
        f"<3>: d would be evaluated where the class begins; use it inside a method {BOTH}",
    ),
    # -- in between
    "derived in between": (
        A + "class B(A): ...  # <3>\n---\nclass A(A):\n" + G,
        f"<A+>: A grows after it was used: A at <3>; move that below {BOTH}",
    ),
    "made in between": (
        A + "X = [A() for _ in range(2)]  # <3>\n---\nclass A(A):\n" + G,
        f"<A+>: A grows after it was used: A at <3>; move that below {BOTH}",
    ),
    "made in between by others": (
        A + "class B:\n    def make(self):\n        return A()\n---\n"
        "def make(b=3):\n    return B().make()\n---\nX = make()  # <3>\n---\n"
        "class A(A):\n" + G,
        f"<A+>: A grows after it was used: make at <3>; move that below {BOTH}",
    ),
}


@pytest.mark.parametrize(("sketch", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(sketch: str, message: str) -> None:
    book = core_book(sketch)
    with pytest.raises(BookError) as error:
        tangle(book)
    assert complaint(error.value, book) == message


BETWEEN = "class B: ...\n---\ndef f(x):\n    return A()\n---\ndef g(x: A): ...\n---\n"


@pytest.mark.parametrize(
    "method",
    [
        "def g(self): return self.f()",
        "def g(self): return super().g()",
        "def g(self): return A.f(self), isinstance(self, A), type(self)",
        "def g(self): return vars(self), self.__dict__",
        "@property\n    def g(self): return 1",
        "def g(self, k=K, l=len, m=[np.pi for _ in range(3)]): return f(g)",
        "def g(self, x: A, y: B) -> f: ...",
        "def __eq__(self, other): return True\n\n    def __hash__(self): return 1",
        "def __init__(self): super().__init__()\n---\nclass A(A):\n    def h(self): super().h()",
    ],
)
def test_accepted(method: str) -> None:
    tangle(core_book(f"K = 1\n---\n{A}{BETWEEN}class A(A):\n    {method}"))


# -- a joined class behaves as the chain of its pieces ------------------------------------

HARMLESS = (
    "[{tag}, self.p(n - 1), self.L]",
    "[{tag}, super().L, hash(self) == 7, self == 3]",
    "[{tag}, A.q(self, n - 1), isinstance(self, A)]",
    "[{tag}, setattr(self, 'L', n), self.r(n - 1)]",
    "[{tag}, f(n - 1).q(n - 2), super().t(n)]",
)
HARMFUL = (
    "[{tag}, super().{member}(n - 1)]",
    "[{tag}, super().r(n - 1)]",
    "[{tag}, super(A, self).q(n - 1)]",
    "[{tag}, len(type(self).__mro__)]",
    "[{tag}, type(self) is __class__, k == 'L']",
    "[{tag}, 'p' in vars(type(self)), vars(self)]",
)
DEFAULTS = (
    ("0", "0", "0", "K", "len", "[K for _ in range(2)]"),
    ("K", "M", "f(1)", "(lambda: A)"),
)
TOP = (
    ("M = {tag}", "def g(x): return A()", "class C(B): ..."),
    ("X = A()", "X = f(2)", "X = B()", "class C(A): ..."),
)


def mostly(choices: tuple[Sequence[str], Sequence[str]]) -> st.SearchStrategy[str]:
    """What can be joined, and now and then what perhaps cannot."""
    return st.integers(0, 9).flatmap(lambda n: st.sampled_from(choices[n > 7]))


@st.composite
def methods(draw: st.DrawFn, tag: str, members: Sequence[str]) -> str:
    lines = [f"    k{tag} = 1"] if tag in "AB" else []
    for member in members:
        body = draw(mostly((HARMLESS, HARMFUL))).format(tag=repr(tag), member=member)
        lines += [f"    def {member}(self, n=0, k={draw(mostly(DEFAULTS))}):"]
        lines += ["        if n > 0:", f"            return {body}", f"        return {tag!r}, f'{{k}}'[:6]"]
    if special := draw(mostly(([""], ["__eq__(self, o)", "__hash__(self)", "__init_subclass__(cls)"]))):
        lines += [
            f"    def {special}:",
            "        return setattr(cls, 'L', 7)" if "cls" in special else "        return 7",
        ]
    return "\n".join(lines)


@st.composite
def sketches(draw: st.DrawFn) -> list[str]:
    """Cells: a base, a class and its continuations, and what may stand above and between them."""
    cells = ["K = 9", draw(st.sampled_from(["def f(x): return A()", "def f(x): return B()"]))]
    cells.append("class B:\n    L = 'B'\n" + draw(methods("B", draw(st.sampled_from(["", "p", "pqr"])))))
    parts = draw(st.sampled_from(["p|q|r", "pq|r", "p|qr", "r|q|p", "|p|qr", "p|pq"])).split("|")
    state = draw(st.sampled_from(["L = 'A'", "J = 1", "'doc'", "K = L = 1", "__slots__ = ()"]))
    cells.append(f"class A{draw(st.sampled_from(['', '(B)']))}:\n    {state}\n{draw(methods('A', parts[0]))}")
    for position, members in enumerate(parts[1:]):
        cells += [line.format(tag=position) for line in draw(st.lists(mostly(TOP), max_size=1))]
        cells.append("class A(A):\n" + draw(methods(f"{position}", members)))
    return cells


def behaviour(source: str) -> dict[str, object]:
    """What the classes' methods return. Raises what the source itself raises."""
    space: dict = {"__name__": "sample"}
    exec(compile(source, "sample", "exec", dont_inherit=True), space)
    seen: dict[str, object] = {"K": space.get("K")}
    for name, thing in [("A", space["A"]()), ("X", space.get("X")), ("f", space.get("f", int)(0))]:
        for call in ("p(2)", "q(2)", "r(2)", "p()", "q()", "r()", "__eq__(3)", "__hash__() == 7"):
            try:
                seen[f"{name}: {call}"] = eval(f"o.{call}", {"o": thing, **space})
            except Exception as error:
                seen[f"{name}: {call}"] = type(error)
    return seen


def test_as_the_chain(examples: int = 150) -> None:
    joined = 0

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(sketches())
    def run(cells: list[str]) -> None:
        nonlocal joined
        try:
            chain = behaviour("\n".join(cells))
            module = tangle([core_chapter(cells)]).text
        except Exception:  # a chapter that fails, or one that is refused
            return
        joined += 1
        assert behaviour(module) == chain

    run()
    assert joined > examples / 10
