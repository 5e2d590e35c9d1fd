"""Sites of the tests, and what is hostile in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import wait_until
from test_leaderboard import cell

from mpobench import Sample
from mpobench.env_kit.films import Film, Shape
from mpobench.results.cell_result import CellResult
from mpobench.results.store import write_jsonl
from mpobench.tuning.budget_file import BudgetCurve, BudgetFile, BudgetPoint
from mpobench_site.build import build

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "leaderboards"

HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "'\"><script>window.hacked=1</script>",
    "</script><svg onload=window.hacked=1>",
    "{{ 7*7 }}${7*7}\\u003cscript>`",
    "__proto__",
    "javascript:window.hacked=1",
)
"""Text that is markup, a template, code, or a trap of JavaScript, wherever it is not escaped."""


def make_site(places: list[Path], output: Path, **options: Any) -> list[str]:
    """Builds a site without rollouts; returns the lines for the user."""
    notes: list[str] = []
    list(build(places, output, **{"title": "mpobench", "cache": None, "note": notes.append, **options}))
    return notes


def results() -> list[CellResult]:
    """Two environments, three objectives, noise at three levels, an unfinished cell, answers."""
    shift = {"dpo": 0.0, "sft": 40.0, "tampo": -300.0}
    return [
        cell(
            objective,
            corruption,
            seed,
            env=env,
            scale="quick",
            origin="ours" if objective == "tampo" else "human",
            value=1000 + shift[objective] - 900 * level + 10 * seed,
            curves={"stage": ["po", "po"], "loss": [1.0, 0.5 + seed], "margin": [0.0, float("nan")]},
            seconds={"train": 1.25, "evaluate": 0.5},
            samples=(Sample("Why?", f"because of {objective}", 50.0),) if env == "hopper" else (),
            **({"status": "diverged", "reason": "loss is inf"} if (objective, seed) == ("tampo", 2) else {}),
        )
        for env in ("tla", "hopper")
        for corruption, level in (("base", 0.0), ("noisy:0.1", 0.1), ("noisy:0.3", 0.3), ("mixed", 0.2))
        for objective in shift
        for seed in (0, 1, 2)
    ]


def hostile_results() -> list[CellResult]:
    """Cells whose every text is hostile."""
    return [
        cell(
            text,
            f"noisy:0.1{text}" if at % 2 else text,
            seed,
            key=f"k{at}-{seed}",
            training_key=text,
            env=f"env{text}",
            evaluator=f"evaluator{text}",
            plugin=text,
            unit=text,
            curves={"stage": [text], text: [1.0]},
            seconds={text: 1.0},
            samples=(Sample(f"prompt {text}", f"answer {text}", 1.0),),
            config={text: {text: [text]}, "objective": {"fields": {text: text}}},
            versions={text: text},
            **(
                {"status": "error", "reason": text}
                if seed == 1
                else {"primary": text, "metrics": {text: 1.0 + at, "normalised_score": 5.0}}
            ),
        )
        for at, text in enumerate(HOSTILE)
        for seed in (0, 1)
    ]


def budget() -> BudgetFile:
    """Score against budget of two objectives, and of one by a cheaper evaluator."""
    points = tuple(
        BudgetPoint(
            trials=2**at, trial=0, tuning_score=1.0, fields={}, training={}, scores=(1.0,), mean=100.0 * at,
            standard_error=None, low=100.0 * at - 20, high=None if at else 20.0,
        )
        for at in range(4)
    )  # fmt: skip
    curves = tuple(
        BudgetCurve(
            env="tla", corruption="base", objective=name, evaluator=evaluator, scale="quick", metric="return",
            unit="return", higher_is_better=True, held_out_seeds=(2000,), points=points,
        )
        for name, evaluator in (("dpo", "return"), ("sft", "return"), ("sft", "sampled-return"))
    )  # fmt: skip
    return BudgetFile(curves=curves)


def board_folder(folder: Path) -> Path:
    """A folder with two leaderboards and a tuning."""
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(results(), folder / "good.jsonl")
    write_jsonl(hostile_results(), folder / "hostile.jsonl")
    budget().write(folder / "tla.budget.json")
    return folder


def until(page: Any, expression: str) -> None:
    """Waits for an expression to be true; the page's policy forbids playwright's own way, which compiles it there."""
    wait_on(page, lambda: page.evaluate(expression))


def wait_on(page: Any, condition: Callable[[], bool]) -> None:
    """Waits for a condition, while the page goes on."""
    wait_until(condition, lambda seconds: page.wait_for_timeout(1000 * seconds))


def rolling_ball(frames: int = 40) -> Film:
    """A ball with a stick, which rolls along x."""
    ground = Shape(
        kind="plane", link=-1, position=(0, 0, 0), rotation=(1, 0, 0, 0), size=(9, 9, 9), color=(1, 1, 1)
    )
    ball = Shape(
        kind="sphere", link=0, position=(0, 0, 0), rotation=(1, 0, 0, 0), size=(0.3, 0, 0), color=(1, 0, 0)
    )
    stick = Shape(
        kind="capsule",
        link=0,
        position=(0, 0, 0.4),
        rotation=(1, 0, 0, 0),
        size=(0.1, 0.3, 0),
        color=(0, 0, 1),
    )
    return Film(
        shapes=(ground, ball, stick), links=("ball",), frame_seconds=0.1,
        positions=tuple(((0.1 * at, 0.0, 0.3),) for at in range(frames)),
        rotations=tuple(((1.0, 0.0, 0.0, 0.0),) for _ in range(frames)),
        earned=tuple(float(at) for at in range(frames)), ended=True,
    )  # fmt: skip
