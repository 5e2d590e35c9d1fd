"""From the pool to labelled, normalised pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mujoco_samples import invent_pool, request

from mpobench.env_kit.pair_labels import draw_sources, label
from mpobench.registry.registry import get_registry
from mpobench_mujoco import agents, data
from mpobench_mujoco.configuration import Block

CORRUPTIONS = ["base", "noisy:0.3", "mixed", "bad-judge:1000", "mixed+noisy:0.3"]


def corruption(text):
    return get_registry().build("corruption", text).component


def load(env, text, workspace, seed=0, scale="smoke"):
    """A dataset of invented rollouts, and the blocks that it was picked from."""
    dataset = request(env, corruption=text, seed=seed).dataset
    dataset = replace(dataset, scale=scale)
    blocks = invent_pool(env, dataset, workspace)
    return data.load_dataset(env, dataset, workspace), blocks


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("text", CORRUPTIONS)
def test_every_trajectory_is_the_one_of_its_agent_side_and_row(tla, invented, text, seed):
    loaded, blocks = load(tla, text, invented, seed)
    pairs = tla.dataset_settings("smoke").pairs
    original = data.agent_policy(tla, "original")
    for side in (0, 1):
        for row in range(pairs):
            role = agents.ROLES[loaded.labels.sources[row, side]]
            block = blocks[tla.block_key(Block(role, side, seed * pairs, pairs))]
            index = side * pairs + row
            observed = loaded.trajectories.observations[index]
            normalised = (block.observations[row] - original["obs_mean"][:, None]) / original["obs_std"][
                :, None
            ]
            np.testing.assert_allclose(observed, normalised, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(loaded.trajectories.actions[index], block.actions[row])
            assert loaded.trajectories.lengths[index] == block.lengths[row]
            assert loaded.returns[row, side] == block.returns[row]


@pytest.mark.parametrize("text", CORRUPTIONS)
def test_facts_of_a_dataset_are_those_of_its_episodes(tla, invented, text):
    loaded, blocks = load(tla, text, invented)
    pairs, steps = tla.dataset_settings("smoke").pairs, tla.settings.task.steps
    early, distances, reversed_pairs, wrong = [], [], [], []
    for row in range(pairs):
        roles = [agents.ROLES[source] for source in loaded.labels.sources[row]]
        sides = [blocks[tla.block_key(Block(role, side, 0, pairs))] for side, role in enumerate(roles)]
        early += [side.lengths[row] < steps for side in sides]
        distances += [side.own_logps[row] - side.other_logps[row] for side in sides]
        returns = dict(zip(roles, (side.returns[row] for side in sides), strict=True))
        if len(returns) == 2:
            reversed_pairs.append(returns["original"] > returns["target"])
        chosen = loaded.labels.chosen[row]
        wrong.append(sides[chosen].returns[row] < sides[1 - chosen].returns[row])
    assert np.mean(early) > 0, "else this shows little"
    for measured, expected in zip(
        loaded.facts.values(), (reversed_pairs, wrong, early, distances), strict=True
    ):
        scale = 1 if expected is distances else 100
        np.testing.assert_allclose(measured, scale * np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize("stride", [3, 4])
def test_a_stride_reads_every_so_many_steps(tla, invented, stride):
    whole, _ = load(tla, "noisy:0.3", invented)
    dataset = request(tla, corruption="noisy:0.3").dataset
    part = data.load_dataset(tla, dataset, invented, stride)
    for name in ("observations", "actions"):
        every, some = (getattr(each.trajectories, name) for each in (whole, part))
        np.testing.assert_array_equal(some, every[:, :, ::stride])
    alive = np.arange(whole.trajectories.actions.shape[2]) < np.asarray(whole.trajectories.lengths)[:, None]
    np.testing.assert_array_equal(part.trajectories.lengths, alive[:, ::stride].sum(axis=1))
    np.testing.assert_array_equal(part.chosen, whole.chosen)
    assert data.load_dataset(tla, dataset, invented).trajectories.actions.shape[2] == len(alive[0])


@pytest.mark.parametrize(
    ("text", "scale"), [*((text, "smoke") for text in CORRUPTIONS), ("mixed+noisy:0.3", "quick")]
)
def test_chosen_and_rejected_are_the_two_sides_of_a_pair(tla, invented, text, scale):
    loaded, _ = load(tla, text, invented, scale=scale)
    pairs = len(loaded.chosen)
    assert pairs == tla.dataset_settings(scale).pairs
    lengths, actions = (
        np.asarray(array) for array in (loaded.trajectories.lengths, loaded.trajectories.actions)
    )
    assert len(lengths) == len(actions) == 2 * pairs
    chosen_returns = np.where(loaded.labels.chosen == 0, loaded.returns[:, 0], loaded.returns[:, 1])
    np.testing.assert_array_equal(loaded.returns.T.ravel()[loaded.chosen], chosen_returns)
    np.testing.assert_array_equal(loaded.chosen % pairs, np.arange(pairs))
    np.testing.assert_array_equal(loaded.rejected % pairs, np.arange(pairs))
    np.testing.assert_array_equal(loaded.chosen // pairs, loaded.labels.chosen)
    np.testing.assert_array_equal(loaded.rejected // pairs, 1 - loaded.labels.chosen)


def test_base_prefers_the_higher_return(tla, invented):
    loaded, _ = load(tla, "base", invented)
    np.testing.assert_array_equal(loaded.labels.chosen, np.argmax(loaded.returns, axis=1))
    assert (loaded.labels.flipped, loaded.labels.correct) == (0.0, 1.0)
    np.testing.assert_array_equal(loaded.labels.sources, np.tile([0, 1], (len(loaded.chosen), 1)))


def test_mixed_needs_both_agents_on_both_sides_and_base_one_each(tla):
    def wanted(text):
        return {(block.role, block.draw) for block in tla.blocks(request(tla, corruption=text).dataset)}

    assert wanted("base") == {("original", 0), ("target", 1)}
    assert wanted("mixed") == {(role, side) for role in agents.ROLES for side in (0, 1)}


def test_an_agent_compared_with_itself_gives_two_different_rollouts(tla, invented):
    loaded, _ = load(tla, "mixed", invented)
    pairs = len(loaded.chosen)
    same = np.flatnonzero(loaded.labels.sources[:, 0] == loaded.labels.sources[:, 1])
    assert len(same), "else this shows nothing"
    actions = np.asarray(loaded.trajectories.actions)
    for row in same:
        assert not np.allclose(actions[row], actions[pairs + row])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("judge", ["base", "bad-judge:500", "mixed"])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_noise_flips_the_very_labels_that_the_judge_gave(seed, judge, rate):
    pairs = 400
    clean, noisy = (
        corruption(judge),
        corruption(f"{judge}+noisy:{rate}" if judge != "base" else f"noisy:{rate}"),
    )
    sources = draw_sources(clean, pairs, seed)
    np.testing.assert_array_equal(draw_sources(noisy, pairs, seed), sources)
    returns = np.random.default_rng(seed).normal(2500, 500, (pairs, 2))
    before, after = (label(each, sources, returns, seed) for each in (clean, noisy))
    swapped = before.chosen != after.chosen
    assert after.flipped == swapped.mean()
    assert abs(swapped.mean() - rate) <= 4 * np.sqrt(rate * (1 - rate) / pairs)
    assert after.correct == np.mean(returns[np.arange(pairs), after.chosen] >= returns.mean(axis=1))


def test_labels_of_one_seed_repeat_and_of_two_seeds_differ():
    noisy, returns = corruption("mixed+noisy:0.3"), np.random.default_rng(0).normal(size=(200, 2))

    def decide(seed):
        sources = draw_sources(noisy, 200, seed)
        return sources, label(noisy, sources, returns, seed).chosen

    for one, again, other in zip(decide(1), decide(1), decide(2), strict=True):
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()


def test_the_last_trajectories_stay_in_memory_and_no_others(tla, invented):
    def of(corruption, seed):
        dataset = request(tla, corruption=corruption, seed=seed).dataset
        invent_pool(tla, dataset, invented)
        return data.load_dataset(tla, dataset, invented)

    first = of("base", 0)
    noisy = of("noisy:0.5", 0)
    assert noisy.trajectories is first.trajectories, "labels alone differ"
    assert (noisy.chosen != first.chosen).any()
    assert of("base", 1).trajectories is not first.trajectories
    mixed = of("mixed", 0)
    assert mixed.trajectories is not first.trajectories
    assert len(data._last) == 1
    again = of("base", 0)
    assert again.trajectories is not first.trajectories
    np.testing.assert_array_equal(again.trajectories.observations, first.trajectories.observations)
