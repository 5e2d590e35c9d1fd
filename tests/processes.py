"""The program and its plugins in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Install = Callable[..., Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def write_distribution(
    site: Path, distribution: str, source: str, version: str = "1.0", module: str | None = None
) -> None:
    """Writes a distribution with one plugin module as pip would leave it."""
    module = module or distribution.replace("-", "_")
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[mpobench]\n{distribution} = {module}\n")


def program(*args: str, before: str = "") -> list[str]:
    """The command line of the program, in a process of its own, which executes a line of Python ``before``."""
    return [sys.executable, "-c", f"{before}\nfrom mpobench.cli import main; main()", *args]


def environment(path: tuple[Path, ...], cache: Path) -> dict[str, str]:
    """Variables of a process that finds plugins on ``path`` and keeps what runs share in ``cache``."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "MPOBENCH_CACHE": str(cache)}
