"""The program in this process, where a command costs milliseconds, with plugins from folders of the import path."""

from __future__ import annotations

import io
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from mpobench.cli import main
from mpobench.registry.registry import Registry, get_registry

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def run_here(
    *args: str, path: tuple[Path, ...] = (), cache: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the program; what it prints and its exit code are those of a process that stands alone."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        if cache is not None:
            patch.setenv("MPOBENCH_CACHE", str(cache))
        with plugins_on(path):
            code = _exit_code(args)
    out, err = (_text(stream) for stream in streams)
    return subprocess.CompletedProcess(args, code, out, err)


def _exit_code(args: tuple[str, ...]) -> int:
    try:
        main(args)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001  # the interpreter does the same, when nobody else does
        traceback.print_exc()
        return 1
    return 0


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def plugins_on(path: tuple[Path, ...]) -> Iterator[None]:
    """Has the plugins of some folders installed for a while."""
    if not path:
        yield
        return
    before = get_registry()
    with pytest.MonkeyPatch.context() as patch:
        for folder in reversed(path):
            patch.syspath_prepend(folder)
        get_registry.cache_clear()
        try:
            yield
        finally:
            for name, module in list(sys.modules.items()):
                file = getattr(module, "__file__", None)
                if file and any(Path(file).is_relative_to(folder) for folder in path):
                    del sys.modules[name]
            get_registry.cache_clear()
            patch.setattr(Registry, "load", lambda: before)
            get_registry()
