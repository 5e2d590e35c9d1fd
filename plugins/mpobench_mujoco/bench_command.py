"""``mpobench bench``: the speed of this machine, in one table."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mpobench.cores import available_cores
from mpobench.display.progress import Display
from mpobench.display.tables import print_table
from mpobench.files.cache import cache_folder
from mpobench.protocols import Progress, Report
from mpobench.running.local import Local
from mpobench_mujoco.commands import mujoco_env
from mpobench_mujoco.env import MujocoEnv

Row = tuple[str, str, str]
COLUMNS = ("what", "here", "beside it")

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def bench(
    env: Annotated[str, typer.Option(help="Environment whose physics is measured.")] = "tla",
    backends: Annotated[str, typer.Option(help="Physics backends, separated by commas.")] = "spring",
    batch: Annotated[int, typer.Option(min=1, help="Episodes of a batch.")] = 128,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of worker processes. Default: one per core.")
    ] = None,
) -> None:
    """Measure training, rollouts and scaling over workers on this machine, on an otherwise idle one.

    Everything is timed by turns in one worker process with one thread: medians of seven. A backend takes about a
    minute, most of it for compiling.

    \b
    Examples:
      mpobench bench
      mpobench bench --backends spring,positional,generalized,mjx
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    envs = [
        mujoco_env(f"{env}:backend={backend}", lacking="physics to measure")
        for backend in backends.split(",")
    ]
    processes = workers or available_cores()
    names = ["updates", *(f"physics {measured.backend}" for measured in envs), "workers"]
    with Display({"measuring": dict.fromkeys(names, 1.0)}) as display:
        rows = _measure(envs, batch, processes, display)
    print_table(COLUMNS, rows)


def _measure(envs: list[MujocoEnv], batch: int, processes: int, display: Display) -> list[Row]:
    cache = cache_folder()

    def listen(report: Report) -> None:
        if isinstance(report, Progress):
            display.update(report.task, report.phase, report.fraction)

    with Local().open(1, listen) as opened:

        def in_a_worker(function: str, *arguments: Any) -> Any:
            return opened.executor.submit(_call, function, *arguments).result()

        milliseconds, _ = in_a_worker("updates:milliseconds", cache)
        speeds = [in_a_worker("physics:steps_per_second", env, batch, cache) for env in envs]
    rows = _update_rows(milliseconds)
    for env, speed in zip(envs, speeds, strict=True):
        rows += _rollout_rows(env, speed)
    from mpobench_mujoco.speed.scaling import throughput

    gain, share = throughput(cache, processes)
    display.finish("workers", ["measuring"])
    return [
        *rows,
        (f"{processes} workers", f"{gain:.2f} times one", f"each on a core of its own: {share:.0%}"),
    ]


def _call(function: str, *arguments: Any) -> Any:
    """Runs in the worker: only there jax is imported, after its threads are set."""
    import importlib

    module, _, name = function.partition(":")
    return getattr(importlib.import_module(f"mpobench_mujoco.speed.{module}"), name)(*arguments)


def _update_rows(milliseconds: dict[str, float]) -> list[Row]:
    ours, floor = milliseconds["mpobench"], milliseconds["products"]
    what = "update of 2 pairs × 2 × 1000 steps"
    rows = [(what, f"{ours:.2f} ms", f"its matrix products alone: {floor:.2f} ms ({ours / floor:.2f} times)")]
    if "PyTorch" in milliseconds:
        theirs = milliseconds["PyTorch"]
        rows.append((what, f"{ours:.2f} ms", f"plain PyTorch: {theirs:.2f} ms ({theirs / ours:.2f} times)"))
    return rows


def _rollout_rows(env: MujocoEnv, speed: dict[str, float]) -> list[Row]:
    ours, what = speed["policy"], f"{env.name} rollout on {env.backend}, one core"
    return [
        (what, f"{ours:,.0f} steps/s", f"{name}: {other:,.0f} steps/s ({ours / other:.2f})")
        for name, other in (("bare brax", speed["brax"]), ("MuJoCo C", speed["MuJoCo C"]))
    ]
