"""A stage on several accelerators: one process each, gradients averaged by accelerate's data parallelism.

The minibatch stays the same: each process takes its share of the batches of every update. Where they do not come out
even, the last batches of an epoch are filled up with rows that do not count (see
:mod:`mpobench_llm.training.padding`).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.spawn import ProcessRaisedException, start_processes

from mpobench import DivergedError, RequestError
from mpobench_llm.models.policy import Policy
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training import one_process
from mpobench_llm.training.stage import Stage

_OUTCOME, _CURVES, _DIVERGED = "outcome", "curves.json", "diverged.txt"


def process_count(settings: TrainingSettings) -> int:
    """The number of processes of a training.

    Raises:
        RequestError: If the batches of an update cannot be shared out among them.
    """
    accelerators = torch.accelerator.device_count() if torch.accelerator.is_available() else 1
    count = settings.processes or max(1, accelerators)
    if settings.accumulation % count == 0:
        return count
    if settings.processes is None:
        return 1
    raise RequestError(
        f"training.processes = {count} does not divide training.accumulation = {settings.accumulation}: "
        "each process takes its share of an update's batches"
    )


def carry_out(
    stage: Stage, count: int, report: Callable[[float], None]
) -> tuple[Policy, dict[str, list[float]]]:
    """The same as :func:`mpobench_llm.training.one_process.carry_out`, by several processes.

    Args:
        stage: Stage.
        count: Number of processes.
        report: Function of the fraction that is done.
    """
    outcome = stage.folder / _OUTCOME
    shutil.rmtree(outcome, ignore_errors=True)
    outcome.mkdir(parents=True)
    reports = multiprocessing.get_context("spawn").SimpleQueue()
    running: Any = start_processes(
        _member, (stage, count, _free_port(), reports), nprocs=count, join=False, start_method="spawn"
    )
    try:
        over = False
        while not over:
            over = running.join(timeout=0.2)
            while not reports.empty():
                report(reports.get())
    except ProcessRaisedException:
        if (outcome / _DIVERGED).exists():
            raise DivergedError((outcome / _DIVERGED).read_text("utf-8")) from None
        raise
    finally:
        for process in running.processes:
            process.kill()
    return Policy.load(outcome), json.loads((outcome / _CURVES).read_bytes())


def _member(rank: int, stage: Stage, count: int, port: int, reports: Any) -> None:
    """One of the processes. accelerate reads its rank from the environment when it is imported."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(rank)
    outcome: Path = stage.folder / _OUTCOME
    try:
        policy, curves = one_process.carry_out(stage, reports.put if rank == 0 else lambda fraction: None)
    except DivergedError as error:
        (outcome / _DIVERGED).write_text(str(error), encoding="utf-8")
        raise
    if rank == 0:
        policy.save(outcome)
        (outcome / _CURVES).write_text(json.dumps(curves), encoding="utf-8")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
