"""An objective that discovery does not know: what it declares is enough to search its function, and to draw it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bandit_plugin
import in_process
import numpy as np
import pytest
from processes import Run
from search_samples import arguments

import mpobench_corruptions.hooks
import mpobench_discovery.hooks
from mpobench import LearnableFunction, Objective, ObjectiveCard, RequestError, Tensors, hookimpl
from mpobench.protocols import HasNetworks, Searchable
from mpobench.registry.registry import Registry
from mpobench_discovery.figure import history_figure
from mpobench_discovery.genome import find_genome
from mpobench_discovery.history import read_history

WEIGHTS = {"slope": np.float32(2.0), "heights": np.zeros(3, np.float32)}


class Bent(Objective):
    """A straight score of the margin, and steps that bend it."""

    bend_network: Tensors | None = None

    @classmethod
    def start(cls) -> Bent:
        return cls(bend_network=Tensors(WEIGHTS))

    @classmethod
    def learnable_functions(cls) -> list[LearnableFunction]:
        return [
            LearnableFunction("bend_network", "bend", "margin", cls.score, non_negative=("slope",)),
        ]

    def score(self, xp: Any, margin: Any) -> Any:
        if self.bend_network is None:
            return margin
        weights = {name: xp.asarray(value, dtype=margin.dtype) for name, value in self.bend_network.items()}
        steps = xp.tanh(margin[:, None] + xp.asarray([-1.0, 0.0, 1.0], dtype=margin.dtype))
        return weights["slope"] * margin + xp.sum(weights["heights"] * steps, axis=1)

    def loss(self, batch: Any) -> Any:
        return -self.score(batch.xp, batch.chosen.mean - batch.rejected.mean)


class Straight(Objective):
    """A bent one in closed form."""

    def as_networks(self) -> Bent:
        return Bent.start()

    def loss(self, batch: Any) -> Any:
        return batch.rejected.mean - batch.chosen.mean


class Weighted(Objective):
    """Has weights, and says of no function that they are its own."""

    h_network: Tensors | None = None

    def as_networks(self) -> Weighted:
        return Weighted(h_network=Tensors(WEIGHTS))

    def loss(self, batch: Any) -> Any:
        return batch.rejected.mean - batch.chosen.mean


@hookimpl
def mpobench_objectives() -> Iterator[ObjectiveCard]:
    for model in (Bent, Straight, Weighted):
        yield ObjectiveCard(
            name=model.__name__.lower(),
            summary="Of a stranger",
            target=f"{__name__}:{model.__name__}",
        )


@pytest.fixture
def searchable() -> Registry:
    modules = (bandit_plugin, in_process, mpobench_corruptions.hooks, mpobench_discovery.hooks)
    return Registry.of_modules(
        [(module, module.__name__, "1.0") for module in (*modules, sys.modules[__name__])]
    )


def test_what_it_declares_is_its_protocol() -> None:
    assert issubclass(Bent, Searchable)
    assert issubclass(Straight, HasNetworks)
    assert not issubclass(Straight, Searchable)
    assert not issubclass(Weighted, Searchable)


def test_its_weights_are_the_genome(searchable: Registry) -> None:
    with in_process.installed(searchable):
        found = find_genome("bent", ("bend",), None)
        assert find_genome(None, (), "straight") == found
        with pytest.raises(RequestError, match="'straight' has no functions to learn: choose one of bent"):
            find_genome("straight", (), None)
        with pytest.raises(RequestError, match="declares no functions to learn"):
            find_genome(None, (), "weighted")
        with pytest.raises(RequestError, match="bent has no network for 'h': learn bend"):
            find_genome("bent", ("h",), None)
    assert found.fields == ("bend_network",)
    numbers = found.encoded(0.1)["bend_network"]
    assert numbers["slope"] == pytest.approx(np.log(2)), "a coefficient that stays above 0"
    assert (numbers["heights"] == 0).all(), "free numbers"
    low = {"bend_network": {"slope": np.float32(-9), "heights": np.full(3, -1, np.float32)}}
    decoded = found.decoded(low)["bend_network"]
    assert 0 < decoded["slope"] < 1e-3
    assert (decoded["heights"] == -1).all()


def test_a_search_learns_it_and_draws_it(invoke: Run, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    done = invoke(*arguments(folder, "--family", "bent", "--launcher", "in-turn"))
    assert done.returncode == 0, done.stderr
    history = read_history(folder)
    assert history.start == Bent.start()
    last = history.generations[-1].mean
    assert isinstance(last, Bent)
    assert last != history.start
    _, part = history_figure(history, (-14.0, -8.0)).subfigs
    panel = part.axes[0]
    assert panel.get_ylabel() == "bend, shifted to 0 at 0"
    line = panel.get_lines()[-1]
    x, y = line.get_data()
    expected = last.score(np, np.asarray(x, np.float64))
    np.testing.assert_allclose(np.asarray(y), expected - expected[len(x) // 2], rtol=1e-6)
