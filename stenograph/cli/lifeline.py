"""A process that ends with the one that started it, however that ends."""

from __future__ import annotations

import os
import signal
import threading
import time

from stenograph.cli.server_process import STOP_S


def end_with(pipe: int) -> None:
    """Have this process stop when the other end of a pipe is closed, as it is by a process's end."""
    os.set_inheritable(pipe, False)
    threading.Thread(target=_watch, args=[pipe], name="steno-lifeline", daemon=True).start()


def _watch(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os.kill(os.getpid(), signal.SIGTERM)  # pragma: no cover - of one that is held up
