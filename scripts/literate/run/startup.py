"""What the kernel of every chapter does first. Runs inside that kernel, never in the build.

``figures`` is put into the namespace by run.py: whether the chapter draws.
"""

import io
import traceback
import warnings
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
    # weave.py turns each of these, and black, into a colour that follows light and dark
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
    """The frames alone: run.py knows how their lines are numbered in the book."""
    return [f"{frame.filename}\n{frame.lineno}" for frame in traceback.extract_tb(trace)]


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


shell: Any = get_ipython()
shell.InteractiveTB.structured_traceback = bare_traceback
np.set_printoptions(linewidth=72)
if figures:  # type: ignore[name-defined]  # noqa: F821
    import matplotlib
    from matplotlib import pyplot  # noqa: F401  (it builds its list of fonts now, not in a cell)
    from matplotlib.figure import Figure
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    matplotlib.rcdefaults()
    matplotlib.rcParams.update(STYLE)
    set_matplotlib_formats("svg")
    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, as_svg)
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel")
