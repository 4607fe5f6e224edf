"""Kernels that start at once: forked from one process that has imported what chapters import.

Each chapter has a process of its own, forked before any chapter has run, so chapters are as isolated
as in kernels that start from nothing.
"""

import asyncio
import contextlib
import functools
import gc
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from queue import Empty
from typing import Any
from unittest import mock

import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from literate.chapter import BookError

PRELOADED = [
    "ipykernel.kernelapp",
    "ipykernel.debugger",  # which each kernel would import
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "sklearn.datasets",
]
SCRIPTS = str(Path(__file__).resolve().parents[2])
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # read when Matplotlib is imported
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # Jupyter's debugger says nothing when it is imported
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}
LONGEST = 60  # bytes of the folder for temporary files: a socket has 108 at most, and 104 on macOS
CLIENT = f"{__name__}.Prompt"  # its class


@functools.cache
def prepare() -> None:
    """Let kernels be forked from now on."""
    temporary = Path(tempfile.gettempdir())
    if len(os.fsencode(temporary)) > LONGEST:
        raise BookError(temporary, "too long a path for the kernels' sockets; give a shorter one as TMPDIR")
    multiprocessing.set_forkserver_preload(PRELOADED)
    with mock.patch.dict(os.environ, ENVIRONMENT), _unstopped():
        forkserver.ensure_running()
    factory = KernelProvisionerFactory.instance()
    factory.provisioners["forked"] = EntryPoint("forked", f"{__name__}:Forked", factory.GROUP_NAME)
    factory.default_provisioner_name = "forked"


@contextlib.contextmanager
def _unstopped() -> Iterator[None]:
    """What is started here ignores Ctrl-C: it ends with this process anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


class Prompt(AsyncKernelClient):
    """Jupyter's client of a kernel, without its pauses."""

    def start_channels(self, *channels: bool) -> None:
        self.context.setsockopt(zmq.RECONNECT_IVL, 10)  # ms between looks for the kernel's sockets, else 100
        super().start_channels(*channels)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Jupyter's own then throws away for 0.2 s what the start has sent, which nbclient skips anyway."""
        end = time.monotonic() + (timeout or math.inf)
        while time.monotonic() < end:
            self.kernel_info()
            with contextlib.suppress(Empty):
                await self.get_shell_msg(timeout=1)
                await self.get_iopub_msg(timeout=0.2)  # this channel is connected, too
                return
            if not await self.is_alive():
                raise RuntimeError("the kernel ended while it started")
        raise RuntimeError(f"the kernel did not answer in {timeout:g} s")


class Forked(LocalProvisioner):
    """Starts a kernel as a fork; the rest is Jupyter's own."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        process: Any = _Process(target=_kernel, args=(cmd, kwargs["env"], kwargs["cwd"]))
        with _nameless_main():
            process.start()
        self.process, self.cwd = process, kwargs["cwd"]
        self.pid = self.pgid = process.pid
        return self.connection_info

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Wait until the kernel has ended, which takes 20 ms: Jupyter itself looks ten times a second."""
        for _ in range(100):
            if await self.poll() is not None:
                break
            await asyncio.sleep(0.005)


class _Process(ForkServerProcess):
    """A forked kernel, with the methods of subprocess.Popen that Jupyter calls."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(int(self.pid or 0), number)


def _kernel(command: list[str], environment: dict[str, str], folder: str) -> None:
    """What the forked process does: be the kernel that the command would have started."""
    from ipykernel.kernelapp import IPKernelApp

    gc.freeze()  # what was imported stays, and need not be looked through again and again
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # a cell has Python's own, and its own folder
    vars(multiprocessing.current_process())["_config"].pop("tempdir", None)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:] = [environment["PYTHONPATH"], *(path for path in sys.path if path not in ("", SCRIPTS))]
    for name in [name for name in sys.modules if name.split(".")[0] == __name__.split(".")[0]]:
        del sys.modules[name]  # a chapter finds its own module, not the tools of the book
    sys.argv = command
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # the kernel ends when that does
    IPKernelApp.launch_instance([*command[command.index("-f") :], parent])


@contextlib.contextmanager
def _nameless_main() -> Iterator[None]:
    """A fork would import the program that started it, and a kernel has no use for that."""
    main = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)
