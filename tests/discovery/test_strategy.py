"""OpenAI-ES against its formulas."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from search_samples import a_genome, a_search

from mpobench_discovery.settings import Search
from mpobench_discovery.strategy import Strategy

POPULATION = 8


def flat(numbers: object) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(numbers)])


@pytest.fixture(scope="module")
def strategy() -> Strategy:
    return Strategy(a_search(population=POPULATION, reach=1.0, learning_rate=0.02), a_genome())


def test_the_paper_s_scale_is_table_8() -> None:
    paper = Search.of({"scale": "paper", "family": "1s-mpo"}, lambda env, scale: {})
    table = {
        "population": 256,
        "generations": 256,
        "sigma": 0.03,
        "sigma_decay": 0.999,
        "learning_rate": 0.02,
    }
    assert paper.model_dump(include=set(table)) == table
    assert (paper.reach, paper.datasets, paper.training) == (1.0, 1, {})


def test_members_are_mirror_images_around_the_mean(strategy: Strategy) -> None:
    state = strategy.start()
    members, mean = [flat(each) for each in strategy.ask(state, 1)], flat(strategy.mean(state))
    np.testing.assert_array_equal(mean, flat(a_genome().encoded(0.03)))
    for one, other in zip(members[: POPULATION // 2], members[POPULATION // 2 :], strict=True):
        np.testing.assert_allclose(one + other, 2 * mean, atol=1e-6)
        assert 0.027 < (one - mean).std() < 0.033
    assert not np.allclose(members[0], flat(strategy.ask(state, 2)[0])), "each generation draws anew"


def test_coefficients_reach_further() -> None:
    strategy = Strategy(a_search(population=400, reach=10.0), a_genome())
    drawn = [each["g_network"] for each in strategy.ask(strategy.start(), 1)]
    assert 0.26 < np.std([each["coefficient"] for each in drawn]) < 0.34
    assert 0.029 < np.std([each["bias"] - drawn[0]["bias"].mean() for each in drawn], axis=0).mean() < 0.031


def test_one_step_is_adam_on_the_rank_weighted_noise(strategy: Strategy) -> None:
    state = strategy.start()
    members = strategy.ask(state, 1)
    fitness = np.random.default_rng(0).normal(1000, 300, POPULATION)
    after, _ = strategy.tell(state, 1, members, fitness)
    before = flat(strategy.mean(state)).astype(np.float64)
    noise = (np.stack([flat(each) for each in members]) - before) / 0.03
    ranks = np.argsort(np.argsort(-fitness)) / (POPULATION - 1) - 0.5  # of the cost: the best is lowest
    gradient = ranks @ noise / (POPULATION * 0.03)
    step = 0.02 * gradient / (np.abs(gradient) + 1e-8)  # Adam's first: its moments are corrected to g and g²
    np.testing.assert_allclose(flat(strategy.mean(after)), before - step, atol=2e-6)


def test_it_climbs() -> None:
    strategy = Strategy(a_search(population=32, sigma=0.1, learning_rate=0.05), a_genome("1s-mpo", "g"))
    state = strategy.start()

    def worth(numbers: object) -> float:
        return -float(np.square(flat(numbers) - 2).mean())

    start = worth(strategy.mean(state))
    for generation in range(1, 151):
        members = strategy.ask(state, generation)
        state, _ = strategy.tell(state, generation, members, np.array([worth(each) for each in members]))
    assert worth(strategy.mean(state)) > 0.5 * start


def test_what_diverged_ranks_last_and_poisons_nothing(strategy: Strategy) -> None:
    state = strategy.start()
    members, fitness = strategy.ask(state, 1), np.arange(float(POPULATION))
    means = []
    for worst in (np.nan, -1e30):
        fitness[3] = worst
        after, mean = strategy.tell(state, 1, members, fitness)
        means.append(flat(mean))
        assert all(
            np.isfinite(leaf).all() for name, leaf in strategy.pack(after).items() if "best" not in name
        )
    np.testing.assert_array_equal(*means)
    still, _ = strategy.tell(state, 1, members, np.full(POPULATION, np.nan))
    np.testing.assert_allclose(flat(strategy.mean(still)), flat(strategy.mean(state)), atol=1e-5)


def test_a_state_that_was_put_away_goes_on_to_the_bit(strategy: Strategy) -> None:
    state = strategy.start()
    for generation in (1, 2):
        members = strategy.ask(state, generation)
        state, _ = strategy.tell(state, generation, members, np.arange(float(POPULATION)))
    again = strategy.unpack(strategy.pack(state))
    for one, other in zip(strategy.ask(state, 3), strategy.ask(again, 3), strict=True):
        np.testing.assert_array_equal(flat(one), flat(other))
    ends = [strategy.tell(each, 3, members, np.arange(float(POPULATION)))[1] for each in (state, again)]
    np.testing.assert_array_equal(flat(ends[0]), flat(ends[1]))


def test_a_state_of_another_search_is_refused(strategy: Strategy) -> None:
    packed = strategy.pack(strategy.start())
    name = next(name for name in packed if "mean" in name)
    with pytest.raises(ValueError, match="is float32"):
        strategy.unpack({**packed, name: packed[name][:-1]})
    del packed[name]
    with pytest.raises(KeyError):
        strategy.unpack(packed)
