"""Published results can be planned again, by components whose versions are theirs: nothing is trained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mpobench import RequestError
from mpobench.planning.plan import plan
from mpobench.planning.recorded import Recorded
from mpobench.planning.suite import Suite
from mpobench.registry.registry import get_registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import read_results
from mpobench.running.records import unfinished

LEADERBOARDS = sorted(Path(__file__).parents[1].glob("leaderboards/*.jsonl"))


def problem(recorded: Recorded, result: CellResult) -> str:
    """The reason why a record cannot be planned again, without its key and its versions; empty if it can."""
    try:
        training = recorded.training(result)
    except RequestError as error:
        return str(error).partition("cannot be made again here: ")[2].partition("; it was made by")[0]
    (cell,) = training.cells
    return "" if cell.key == result.key else f"it is {result.key}, and is planned as {cell.key}"


@pytest.mark.parametrize("file", LEADERBOARDS, ids=lambda file: file.stem)
def test_every_record_can_be_planned_again(file: Path) -> None:
    results, recorded = read_results(file), Recorded(get_registry())
    found = Counter(problem(recorded, result) for result in results if result.status != "skipped")
    assert set(found) == {""}, found


@pytest.mark.parametrize(("env", "default", "stated"), [("hopper", "linear", "constant"), ("tla", 10, 1)])
def test_what_is_a_default_of_the_code_and_not_of_the_environment_is_recorded(
    env: str, default: object, stated: object
) -> None:
    """A record of a training at a constant rate, say, is planned again as that."""
    field = "schedule" if isinstance(stated, str) else "stride"
    suite = {"envs": env, "objectives": "sft,dpo", "scale": "smoke", "seeds": 1, "training": {field: stated}}
    for training in plan(Suite.of(suite), get_registry()).trainings:
        assert training.config["training"][field] == stated != default
        (cell,) = training.cells
        result = unfinished(training, cell, training.evaluators[0], "error", "stopped")
        assert problem(Recorded(get_registry()), result) == ""
