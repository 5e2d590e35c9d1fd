"""What dask does in a worker process of this machine before its first task; dask calls ``dask_setup``."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from mpobench_dask import quiet


def dask_setup(worker: Any) -> None:
    """Keeps stdout for the result of the run, and leaves Ctrl-C to the process that started the worker."""
    os.dup2(2, 1)
    quiet.set_levels()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
