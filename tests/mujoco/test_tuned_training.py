"""Tuning on real physics, at the smoke scale."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import Run

from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import TunedFile
from mpobench.protocols import SearchRange
from mpobench.registry.registry import Registry
from mpobench.tuning.settings import Tuning
from mpobench.tuning.study import plan_studies


def test_one_stage_has_one_learning_rate_and_two_stages_have_two(registry: Registry) -> None:
    suite = Suite.of({"envs": "tla", "objectives": "dpo,simpo,sft,rdpo:alpha=0.1"})
    studies = plan_studies(suite, Tuning.of({}, "quick"), registry).studies
    spaces = {study.objective.text: {each.key: each for each in study.space.dimensions} for study in studies}
    rate, po_rate = "training.learning_rate", "training.po_learning_rate"
    assert list(spaces["sft"]) == [rate]
    assert set(spaces["dpo"]) == {"beta", rate, po_rate}
    assert set(spaces["rdpo:alpha=0.1"]) == {"beta", rate, po_rate}
    assert spaces["dpo"][rate].search == SearchRange(1e-4, 3e-2, log=True)
    assert spaces["dpo"][po_rate].search == SearchRange(1e-7, 3e-2, log=True)
    own = registry.build("env", "tla").component.settings.training["po_learning_rate"]
    assert spaces["dpo"][po_rate].default == own, "tla's own default"


@pytest.mark.slow
def test_tla_is_tuned_and_run(mpobench_cli: Run, tmp_path: Path, registry: Registry) -> None:
    folder = tmp_path / "tuning"
    args = ("--envs", "tla", "--objectives", "dpo", "--corruptions", "noisy:0.3", "--scale", "smoke")
    done = mpobench_cli("tune", *args, "--output", str(folder))
    assert done.returncode == 0, done.stderr
    (entry,) = TunedFile.read(folder / "tuned.toml").tuned
    assert set(entry.training) == {"learning_rate", "po_learning_rate"}
    assert (entry.trials, entry.trainings) == (8, 8 + 3)
    tuned = ("--tuned", str(folder / "tuned.toml"))
    ran = mpobench_cli("run", *args, *tuned, "--results", str(tmp_path / "results"))
    assert ran.returncode == 0, ran.stderr
    assert "warning" not in ran.stderr
    suite = {"envs": "tla", "objectives": "dpo", "corruptions": "noisy:0.3", "scale": "smoke"}
    (cell,) = plan(Suite.of({**suite, "tuned": folder / "tuned.toml"}), registry).cells
    assert (tmp_path / "results" / "cells" / f"{cell.key}.json").exists()
