"""GPUs of this machine, counted without a library that would take one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from mpobench import RequestError

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Variable that CUDA reads when a process first uses it."""


def visible() -> list[str]:
    """Names of the GPUs that this process may use: those that ``CUDA_VISIBLE_DEVICES`` names, else all."""
    if (named := os.environ.get(VISIBLE)) is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        told = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # a driver without a device
        return []
    return re.findall(r"^GPU (\d+):", told, re.MULTILINE)


def environments(wanted: int | None, workers: int | None, cores: int) -> list[dict[str, str]]:
    """Environment variables of each worker: a GPU of its own, or a core.

    Args:
        wanted: Number of GPUs; None for all that there are, 0 for none.
        workers: Number of workers; None for one per GPU, or per core where no GPU is used.
        cores: Number of cores.

    Raises:
        RequestError: If there are fewer GPUs than wanted, or than workers.
    """
    if wanted == 0:
        return [{VISIBLE: ""}] * (workers or cores)
    names = visible()
    if wanted is not None and wanted > len(names):
        raise RequestError(f"gpus={wanted}, but this machine has {len(names)}: name fewer, or leave gpus out")
    names = names[:wanted]
    if not names:
        return [{}] * (workers or cores)
    if workers is not None and workers > len(names):
        raise RequestError(
            f"--workers {workers}, but {len(names)} GPUs, one for each worker: name fewer workers, "
            "or compute on cores with dask:gpus=0"
        )
    return [{VISIBLE: name} for name in names[:workers]]
