from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpobench.errors import RequestError, SpecError
from mpobench.planning.env_plan import plan_training
from mpobench.planning.plan import Plan, plan
from mpobench.planning.suite import SEEDS, Suite
from mpobench.registry.registry import Registry


def toy_suite(**fields: Any) -> Suite:
    return Suite.of({"envs": "task", "corruptions": "plain", "objectives": "loss", **fields})


def test_defaults() -> None:
    suite = Suite.of({"objectives": "dpo", "workers": None})
    assert (suite.envs, suite.corruptions, suite.scale, suite.seed_count) == ((), ("base",), "quick", 3)


@pytest.mark.parametrize("scale", SEEDS)
def test_seeds_of_a_scale(scale: str) -> None:
    assert (
        Suite.of({"objectives": "dpo", "scale": scale}).seed_count
        == {"smoke": 1, "quick": 3, "paper": 25}[scale]
    )
    assert Suite.of({"objectives": "dpo", "scale": scale, "seeds": 7}).seed_count == 7


@pytest.mark.parametrize(
    "objectives",
    [
        "dpo,tampo:schedule=sigmoid,beta=2",
        ["dpo", "tampo:schedule=sigmoid,beta=2"],
        ["dpo,tampo:schedule=sigmoid,beta=2"],
        ["dpo", {"name": "tampo", "schedule": "sigmoid", "beta": 2}],
    ],
)
def test_lists_of_specs_may_be_written_in_many_ways(objectives: object) -> None:
    first, second = Suite.of({"objectives": objectives}).objectives
    assert (first, second.split(":")[0], set(second.split(":")[1].split(","))) == (
        "dpo",
        "tampo",
        {"schedule=sigmoid", "beta=2"},
    )


def test_toml_says_what_the_command_line_says(tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(
        'title = "Mine"\nscale = "paper"\nseeds = 4\nobjectives = ["dpo", {name = "tampo", beta = 2.0}]\n'
        "[training]\nepochs = 3\n"
    )
    expected = Suite.of(
        {
            "title": "Mine",
            "scale": "smoke",
            "seeds": 4,
            "objectives": "dpo,tampo:beta=2",
            "training": {"epochs": 3},
        }
    )
    assert Suite.from_toml(file, {"scale": "smoke", "seeds": None}) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('objectivs = ["dpo"]', "no field 'objectivs': did you mean 'objectives'?"),
        ("", "'objectives' has to be given"),
        ("objectives = []", "'objectives' has to have at least 1"),
        ('objectives = "dpo"\nseeds = 0', "seeds=0: input should be greater than or equal to 1"),
        ('objectives = "dpo"\nseeds = "many"', "seeds='many': input should be a valid integer"),
        ('objectives = "dpo"\nscale = "big"', "scale='big': input should be 'smoke', 'quick' or 'paper'"),
        ('objectives = "dpo"\nenvs = 3', "envs=3: 3 is neither a spec nor a table with a name"),
        ('objectives = "dpo,,orpo"', "has a stray ','"),
        ("objectives = [{beta = 1}]", "has no name"),
        ('objectives = [{name = "dpo:beta=1", eta = 1}]', "already has arguments"),
        ('objectives = [{name = "dpo", day = 2020-01-01}]', "cannot be written as a value"),
        ('objectives = ["dpo"', "is not a TOML file: Unclosed array (at end of document)"),
        ('objectives "dpo"', "(at line 1, column 12)"),
    ],
)
def test_toml_errors_name_file_and_field_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(text)
    with pytest.raises(RequestError) as caught:
        Suite.from_toml(file)
    assert str(file) in str(caught.value)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_suites(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read suite .*none\.toml: No such file"):
        Suite.from_toml(tmp_path / "none.toml")
    with pytest.raises(RequestError, match="cannot read suite"):
        Suite.from_toml(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(RequestError, match=r"latin\.toml is not a TOML file"):
        Suite.from_toml(tmp_path / "latin.toml")


def test_a_plan_is_a_product(toys: Registry) -> None:
    made = plan(
        toy_suite(
            envs="task,task:gravity=1",
            corruptions="plain,flip:0.1,doubt",
            objectives="loss,other-loss",
            seeds=2,
        ),
        toys,
    )
    assert len(made.cells) == len({cell.key for cell in made.cells}) == len(made.trainings) == 2 * 3 * 2 * 2
    assert len({cell.dataset_key for cell in made.cells}) == 2 * 3 * 2
    assert {cell.evaluator for cell in made.cells} == {"length"}
    assert [cell.seed for cell in made.cells[:3]] == [0, 1, 0]


def test_what_is_said_twice_runs_once(toys: Registry) -> None:
    once = toy_suite(corruptions="flip:0.1+doubt", objectives="loss")
    twice = toy_suite(
        envs=["task", "task:9.8"],
        corruptions="doubt+flip:0.10,flip:0.1+plain+doubt",
        objectives="loss:reduction=mean,loss,loss:beta=1",
        evaluators="length,length",
    )
    assert plan(twice, toys).cells == plan(once, toys).cells


def test_refusals_are_skips_with_a_reason(toys: Registry) -> None:
    made = plan(toy_suite(corruptions="plain,swap", evaluators="length,length:5", seeds=1), toys)
    assert [(cell.corruption, cell.evaluator, cell.skip) for cell in made.cells] == [
        ("plain", "length", None),
        ("plain", "length:5", "wants another gravity"),
        ("swap", "length", "has only one agent"),
        ("swap", "length:5", "has only one agent"),
    ]
    (training,) = made.trainings
    assert training.cells == made.cells[:1]
    assert [evaluator.text for evaluator in training.evaluators] == ["length"]


def keys(made: Plan) -> dict[str, set[str]]:
    return {
        name: {getattr(cell, name) for cell in made.cells} for name in ("dataset_key", "training_key", "key")
    }


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"envs": "task:5"}, {"dataset_key", "training_key", "key"}),
        ({"corruptions": "flip:0.2"}, {"dataset_key", "training_key", "key"}),
        ({"scale": "smoke"}, {"dataset_key", "training_key", "key"}),
        ({"scale": "paper"}, set()),
        ({"objectives": "loss:beta=2"}, {"training_key", "key"}),
        ({"objectives": "other-loss"}, {"training_key", "key"}),
        ({"training": {"epochs": 4}}, {"training_key", "key"}),
        ({"training": {"epochs": 3}}, set()),
        ({"evaluators": "length:9.8"}, {"key"}),
        ({"results": "elsewhere", "workers": 5, "title": "Other", "rerun": "all"}, set()),
    ],
)
def test_keys_change_with_what_decides_a_result(
    toys: Registry, change: dict[str, Any], changed: set[str]
) -> None:
    before, after = (
        keys(plan(toy_suite(seeds=1), toys)),
        keys(plan(toy_suite(**{"seeds": 1, **change}), toys)),
    )
    assert {name for name in before if before[name] != after[name]} == changed
    assert all(before[name].isdisjoint(after[name]) for name in changed)


def test_more_seeds_keep_the_keys_of_the_first(toys: Registry) -> None:
    few, many = (plan(toy_suite(seeds=seeds), toys).cells for seeds in (2, 5))
    assert many[:2] == few
    assert len({cell.dataset_key for cell in many}) == 5


@given(
    gravity=st.floats(0.1, 100),
    rate=st.floats(0, 1),
    beta=st.floats(0.01, 100),
    label=st.text(max_size=5),
    seed=st.integers(0, 2),
    epochs=st.integers(1, 5),
)
def test_a_training_is_carried_to_a_worker_as_it_is(
    toys: Registry, gravity: float, rate: float, beta: float, label: str, seed: int, epochs: int
) -> None:
    suite = toy_suite(
        envs=[{"name": "task", "gravity": gravity}],
        corruptions=f"doubt+flip:{rate}",
        objectives=[{"name": "loss", "beta": beta, "label": label}],
        evaluators="length,length:only=5",
        training={"epochs": epochs},
    )
    training = plan(suite, toys).trainings[seed]
    assert pickle.loads(pickle.dumps(training)) == training
    lone = plan_training(
        toys,
        suite.envs[0],
        suite.corruptions[0],
        suite.objectives[0],
        seed,
        suite.scale,
        evaluators=suite.evaluators,
        overrides=suite.training,
    )
    assert lone == training


def test_more_cells_than_fit_into_memory_are_refused_with_their_number(toys: Registry) -> None:
    with pytest.raises(RequestError, match=r"the suite has 99,999,999,999 cells.*take fewer --seeds"):
        plan(toy_suite(corruptions="plain", objectives="loss", seeds=99_999_999_999), toys)


def test_requests_that_cannot_be_carried_out(toys: Registry) -> None:
    with pytest.raises(SpecError, match="unknown corruption 'flp'"):
        plan(toy_suite(corruptions=["flp"]), toys)
    with pytest.raises(RequestError, match="no training option 'epoch'"):
        plan(toy_suite(training={"epoch": 3}), toys)


def test_a_large_plan_takes_seconds(toys: Registry) -> None:
    suite = toy_suite(
        corruptions=[f"flip:{rate / 100}" for rate in range(20)],
        objectives=[f"loss:beta={beta + 1}" for beta in range(40)],
        seeds=25,
    )
    start = time.process_time()
    assert len(plan(suite, toys).cells) == 20_000
    assert time.process_time() - start < 4


def test_a_plan_says_where_a_loss_that_depends_on_its_batch_gets_few_pairs(registry: Registry) -> None:
    wanted = {"envs": "hopper", "objectives": "dpo,kto,bco_pair,aot", "corruptions": "base,mixed"}
    (note,) = plan(Suite.of(wanted), registry).notes
    assert note == (
        "a loss that depends on its batch has few pairs in an update: "
        "bco_pair on hopper (72 where it was published with 128)"
    )
    (note,) = plan(Suite.of({**wanted, "envs": "tla", "scale": "smoke"}), registry).notes
    assert note.endswith(
        ": kto on tla (8 where it was published with 16); bco_pair on tla (8 where it was published with 128); "
        "aot on tla (8 where it was published with 32)"
    )
    stated = {**wanted, "objectives": "dpo,kto", "training": {"po_pairs_per_update": 4}}
    (note,) = plan(Suite.of(stated), registry).notes
    assert note.endswith(": kto on hopper (4 where it was published with 16)")
    assert plan(Suite.of({**wanted, "objectives": "dpo,kto"}), registry).notes == ()
