"""Runs in this process, of which the tests can count the pieces of work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.protocols import Launcher, Listener, Workers
from mpobench.registry.registry import Registry
from mpobench.results.store import ResultStore
from mpobench.running.outcome import Outcome
from mpobench.running.runner import execute
from mpobench.running.workplace import Workplace


class Here(Launcher):
    """Tasks run in a thread of this process, one after the other."""

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        with ThreadPoolExecutor(1) as executor:
            yield Workers(executor, lambda: 1)


class Lab:
    """A results folder and a cache, and runs of suites on them."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.store, self.cache, self.registry = ResultStore(folder / "results"), folder / "cache", registry

    def run(self, objectives: str = "sft,dpo", **fields: Any) -> Outcome:
        fields = {"envs": "bandit", "scale": "smoke", "objectives": objectives, **fields}
        suite = Suite.of(fields)
        return execute(
            plan(suite, self.registry), self.store, Workplace(Here(), self.cache, workers=1), suite.rerun
        )

    def work(self) -> Counter[str]:
        """How often each piece of work was done since the last call: ``train dpo 0``."""
        log = self.cache / "work.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return Counter(lines)

    def status(self) -> dict[str, str]:
        return {result.objective: result.status for result in self.store.load_all()}

    def cell(self, objective: str, seed: int = 0) -> Path:
        results = self.store.load_all()
        (key,) = (each.key for each in results if (each.objective, each.seed) == (objective, seed))
        return self.store.path(key)
