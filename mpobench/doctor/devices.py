"""The devices that jax and torch see, asked in processes of their own: a library that hangs or crashes harms nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from mpobench.cores import available_cores
from mpobench.doctor.finding import Finding

_SECONDS = 90.0

_PROBES = {
    "jax": """
import json, os
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import jax
devices = [f"{each.platform}:{each.id} {each.device_kind}" for each in jax.devices()]
print(json.dumps({"version": jax.__version__, "devices": devices, "accelerated": jax.default_backend() != "cpu"}))
""",
    "torch": """
import json
import torch
devices = [f"cuda:{at} {torch.cuda.get_device_name(at)}" for at in range(torch.cuda.device_count())]
if getattr(torch.backends, "mps", None) and torch.backends.mps.is_available():
    devices.append("mps")
print(json.dumps({"version": torch.__version__, "devices": devices or ["cpu"], "accelerated": bool(devices)}))
""",
}

_ADVICE = {
    "jax": "for trainings on it: pip install 'jax[cuda12]=={version}' (or cuda13, as your driver is)",
    "torch": "for language models on it: a CUDA build, see https://pytorch.org/get-started/locally",
}


def gpus() -> list[str]:
    """The GPUs that the driver lists, by name; none without one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        told = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.split(" (UUID")[0] for line in told.splitlines() if line.startswith("GPU ")]


def check_machine() -> Iterator[Finding]:
    """Cores, and GPUs as the driver lists them."""
    cores = available_cores()
    yield Finding(
        "ok", "processor", f"{cores} cores: as many workers at once, unless --workers says otherwise"
    )
    found = gpus()
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not found:
        yield Finding("ok", "GPUs", "none that nvidia-smi lists; everything runs on the processor")
    elif hidden is not None:
        yield Finding(
            "note", "GPUs", f"{', '.join(found)}; CUDA_VISIBLE_DEVICES={hidden!r} limits what is seen"
        )
    else:
        yield Finding("ok", "GPUs", ", ".join(found))


def check_library(name: str) -> Iterator[Finding]:
    """The devices of ``jax`` or ``torch``."""
    if find_spec(name) is None:
        if name == "jax":
            yield Finding("broken", name, "is not installed", "pip install mpobench")
        return
    try:
        told = ask(_PROBES[name])
    except RuntimeError as error:
        yield Finding(
            "broken",
            name,
            f"does not start: {error}",
            f"install it anew: pip install --force-reinstall {name}",
        )
        return
    found = f"{told['version']} sees {', '.join(told['devices'])}"
    if gpus() and not told["accelerated"] and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1"):
        advice = _ADVICE[name].format(version=told["version"])
        yield Finding("note", name, f"{found}, and not the GPUs that nvidia-smi lists", advice)
    else:
        yield Finding("ok", name, found)


def ask(code: str, seconds: float = _SECONDS) -> dict[str, Any]:
    """The JSON that a piece of Python prints in a process of its own, on its last line.

    Raises:
        RuntimeError: In one line, if it fails, takes too long, or prints something else.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no answer after {seconds:g} s") from None
    lines = [line.strip() for line in (done.stderr if done.returncode else done.stdout).splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    if done.returncode:
        raise RuntimeError(last[:300] or f"exit code {done.returncode}")
    try:
        told: dict[str, Any] = json.loads(last)
    except ValueError:
        raise RuntimeError(f"it printed {last[:100]!r}") from None
    return told
