"""What the kernel of every chapter does first. Runs inside that kernel, never in the build.

``figures`` is put into the namespace by notebooks.py: whether the chapter draws.
"""

import importlib.util
import io
import os
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from IPython.core.getipython import get_ipython

HEAVY = 100_000  # bytes of SVG from which the data of a figure become pixels

STYLE: Any = {
    "figure.figsize": (6.4, 3.2),
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.titlesize": "medium",
    # weave/figures.py turns each of these, and black, into a colour that follows light and dark
    "axes.prop_cycle": "cycler('color', ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#7a5fb5'])",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "font.size": 9.5,
    "mathtext.fontset": "cm",
    "svg.fonttype": "path",
    "svg.hashsalt": "backprop_core",
    "savefig.facecolor": "none",
}


def bare_traceback(kind: type, error: BaseException, trace: TracebackType, tb_offset: int = 0) -> list[str]:
    """The frames alone: notebooks.py knows how their lines are numbered in the book."""
    frames = [*traceback.walk_tb(trace)]
    ends = frames if len(frames) < 20 else [*frames[:10], *frames[-10:]]
    return [f"{frame.f_code.co_filename}\n{line}" for frame, line in ends]


def as_svg(figure: Any) -> str:
    svg = save(figure)
    if len(svg) > HEAVY:
        for axes in figure.axes:
            for artist in [*axes.collections, *axes.lines, *axes.patches]:
                artist.set_rasterized(True)
        svg = save(figure)
    return svg


def save(figure: Any) -> str:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.02, dpi=200, metadata=nothing)
    return buffer.getvalue()


def load_limits() -> Any:
    spec: Any = importlib.util.spec_from_file_location("cell_limits", Path(__file__).parents[1] / "limits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def limited(run: Any, limits: Any) -> Any:
    """``run`` of a cell under these limits. What it leaves behind is shown like an error of its own."""

    async def run_cell(*arguments: Any, result: Any, **options: Any) -> bool:
        limits.begin()
        failed = False
        try:
            failed = await run(*arguments, result=result, **options)
        finally:
            what = limits.end()
        if what and not failed:
            try:
                raise Misbehaved(f"the cell {what}")
            except Misbehaved as error:
                result.error_in_exec = error
                shell.showtraceback()
        return failed or bool(what)

    return run_cell


shell: Any = get_ipython()
shell.InteractiveTB.structured_traceback = bare_traceback
shell.input_transformer_manager.transform_cell = "{}\n".format  # no magic here, and to look for it takes long
for name in ("exit", "quit"):  # which end nothing here
    shell.user_ns.pop(name, None)
np.set_printoptions(linewidth=72)
if figures:  # type: ignore[name-defined]  # noqa: F821
    import matplotlib
    from matplotlib import pyplot  # noqa: F401  (it builds its list of fonts now, not in a cell)
    from matplotlib.figure import Figure
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    shell.enable_matplotlib("inline")  # a forked kernel has imported pyplot before it was a kernel
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(STYLE)
    set_matplotlib_formats("svg")
    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, as_svg)
limits = load_limits()
Misbehaved = limits.Misbehaved
bounds = limits.Limits(Path.cwd(), Path(os.environ["TMPDIR"]))
shell.run_ast_nodes = limited(shell.run_ast_nodes, bounds)
shell.kernel.raw_input = bounds.asked
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")
