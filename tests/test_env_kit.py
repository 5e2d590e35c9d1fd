"""The base of environments with a TOML file, and the pool that their datasets pick from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import mpobench
from mpobench import DatasetCorruption, DatasetRequest, RequestError, TrainingRequest
from mpobench.env_kit.env_file import EnvFile, Settings, load_env_file
from mpobench.env_kit.pool import pool_blocks
from mpobench.env_kit.toml_env import TomlEnv
from mpobench.registry.registry import get_registry

FILE = """
title = "counting"

[training]
epochs = 1
rate = 1.0
seed = 1
size = 1

[scale.smoke]
dataset = { pairs = 4 }
evaluation = { episodes = 2 }

[scale.quick]
dataset = { pairs = 8 }
evaluation = { episodes = 6 }
training = { rate = 2.0, seed = 2, size = 2 }

[every_objective]
beta = 0.5
reduction = "mean"

[objective.dpo]
fields = { beta = 0.7 }
training = { seed = 3, size = 3 }

[search.quick]
population = 6
"""


class Training(Settings):
    epochs: int = 9
    rate: float = 9.0
    seed: int = 9
    size: int = 9
    unset: int = 9


class Dataset(Settings):
    pairs: int


class Evaluation(Settings):
    episodes: int


class CountingFile(EnvFile[Dataset, Evaluation]):
    title: str


class Counting(TomlEnv[Training, Dataset, Evaluation]):
    training_model = Training

    @property
    def settings(self) -> CountingFile:
        return load_env_file(CountingFile, "counting_package", "counting.toml")


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An environment of a package that was just installed."""
    package = tmp_path / "counting_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "counting.toml").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    yield Counting()
    sys.modules.pop("counting_package", None)


def request(scale="quick", objective="dpo", **overrides) -> TrainingRequest:
    dataset = DatasetRequest(DatasetCorruption(), 0, scale, "key")
    return TrainingRequest(dataset, objective, mpobench.objective(objective), 0, overrides)


def test_the_file_has_the_environment_s_own_tables_and_the_sizes_of_each_scale(env):
    assert env.settings.title == "counting"
    assert [env.dataset_settings(scale).pairs for scale in ("smoke", "quick")] == [4, 8]
    assert [env.evaluation_settings(scale).episodes for scale in ("smoke", "quick")] == [2, 6]
    assert env.search_defaults("quick") == {"population": 6}
    assert env.search_defaults("smoke") == {}


def test_overrides_win_over_objective_over_scale_over_file_over_model(env):
    resolved = env.training_settings(request(size=4))
    assert resolved == Training(epochs=1, rate=2.0, seed=3, size=4, unset=9)
    assert env.training_settings(request("smoke", "sft")) == Training(
        epochs=1, rate=1.0, seed=1, size=1, unset=9
    )


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"lever": 1}, r"training: no field 'lever' \(fields: epochs, rate, seed, size, unset\)"),
        ({"epoch": 1}, r"training: no field 'epoch': did you mean 'epochs'\?"),
        ({"epochs": "many"}, r"training: epochs='many': .*integer .*\(int\)"),
        ({"rate": float("nan")}, r"training: rate=nan: .*finite"),
    ],
)
def test_a_wrong_override_is_one_line(env, overrides, said):
    with pytest.raises(RequestError, match=said) as caught:
        env.training_settings(request(**overrides))
    assert "\n" not in str(caught.value)


def test_defaults_reach_the_fields_that_an_objective_has(env):
    assert env.objective_defaults("dpo", frozenset({"beta"})) == {"beta": 0.7}
    assert env.objective_defaults("ipo", frozenset({"beta", "reduction"})) == {
        "beta": 0.5,
        "reduction": "mean",
    }
    assert env.objective_defaults("sft", frozenset({"reduction"})) == {"reduction": "mean"}


@pytest.mark.parametrize("corruption", ["base", "mixed"])
def test_the_pool_covers_every_side_of_every_pair_once(corruption):
    built = get_registry().build("corruption", corruption).component
    pairs, size, seed = 50, 16, 3
    covered: dict[tuple[int, int], list[int]] = {}
    for block in pool_blocks(built, pairs, size, seed):
        assert 1 <= block.count <= size
        covered.setdefault((block.agent, block.draw), []).extend(
            range(block.first, block.first + block.count)
        )
    sources = built.sources(pairs, np.random.default_rng([seed, 0]))
    assert covered.keys() == {(int(sources[i, side]), side) for i in range(pairs) for side in (0, 1)}
    assert all(rows == list(range(pairs)) for rows in covered.values())
    assert len(covered) == (2 if corruption == "base" else 4)
