"""What a search may change, and what its numbers mean as an objective."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from search_samples import FAMILIES, a_genome

import mpobench
from mpobench import PreferenceBatch, RequestError, SequenceLogps, save_objective
from mpobench_discovery.genome import find_genome


@pytest.mark.parametrize("family", FAMILIES)
def test_the_numbers_of_the_start_are_the_start(family: str) -> None:
    found = a_genome(family)
    assert found.objective(found.decoded(found.encoded(0.1))) == found.start == type(found.start).start()


def test_every_network_is_learned_unless_some_are_named() -> None:
    assert a_genome("tampo").fields == ("phi_network", "g_network", "psi_network", "schedule_network")
    assert a_genome("1s-mpo", "psi", "phi").fields == ("phi_network", "psi_network")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_not_learned_has_its_closed_form(family: str) -> None:
    networks = a_genome(family).start
    margin, logp = np.linspace(-3.0, 3.0, 7), np.linspace(-14.0, -8.0, 7)
    closed = a_genome(family, "phi").start
    assert closed.g_network is None
    np.testing.assert_allclose(closed.score(np, margin), networks.score(np, margin), rtol=1e-6)
    closed = a_genome(family, "g").start
    assert closed.phi_network is None
    ours, theirs = (each.inverse_potentials(np, logp)[0] for each in (closed, networks))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_one_step_search_begins_at_orpo_whatever_it_learns() -> None:
    start = a_genome("1s-mpo", "psi").start
    logp = np.log([0.3, 0.6, 0.9])
    expected = np.log([0.3, 0.6, 0.9]) - np.log1p(-np.array([0.3, 0.6, 0.9]))
    np.testing.assert_allclose(start.inverse_potentials(np, logp)[0], expected, rtol=1e-6)
    assert start.lam == 1


def test_no_number_makes_a_function_fall() -> None:
    found = a_genome("1s-mpo", "g")
    free = found.encoded(0.1)["g_network"]
    below = {"g_network": {part: array - np.float32(2) for part, array in free.items()}}
    weights = found.objective(found.decoded(below)).g_network
    np.testing.assert_allclose(weights["coefficient"], np.exp(-2), rtol=1e-6)
    assert (weights["kernel_out"] == 0).all()
    np.testing.assert_array_equal(weights["bias"], below["g_network"]["bias"])


def a_file(path: Path, objective: mpobench.Objective, registered: str) -> Path:
    save_objective(path, objective, registered, name="mine", summary="Mine")
    return path


def test_a_search_begins_with_an_objective_file(tmp_path: Path) -> None:
    start = a_genome("2s-mpo", "phi").start.model_copy(update={"beta": 0.5})
    file = a_file(tmp_path / "mine.json", start, "2s-mpo")
    found = find_genome(None, (), str(file))
    assert (found.family, found.start, found.fields) == ("2s-mpo", start, ("phi_network",))


@pytest.mark.parametrize(
    ("family", "learn", "error"),
    [
        ("dpo", (), "objective 'dpo' has no functions to learn: choose one of 1s-mpo, 2s-mpo, tampo"),
        ("1s-mp", (), "unknown objective '1s-mp'"),
        ("2s-mpo", ("psi",), "2s-mpo has no network for 'psi': learn phi, g"),
        ("tampo", ("h",), "learn phi, g, psi, schedule"),
        ("1s-mpo", ("phi_network",), "no network for 'phi_network'"),
    ],
)
def test_what_cannot_be_searched(family: str, learn: tuple[str, ...], error: str) -> None:
    with pytest.raises(RequestError, match=error.replace("(", r"\(")):
        find_genome(family, learn, None)


def test_a_start_that_does_not_fit(tmp_path: Path) -> None:
    networks = a_file(tmp_path / "networks.json", a_genome("1s-mpo", "g").start, "1s-mpo")
    with pytest.raises(RequestError, match="is a '1s-mpo', not a '2s-mpo': leave --family out"):
        find_genome("2s-mpo", (), str(networks))
    with pytest.raises(RequestError, match=r"has no network for 'phi': learn g"):
        find_genome(None, ("phi",), str(networks))
    closed = a_file(tmp_path / "closed.json", mpobench.objective("dpo"), "dpo")
    with pytest.raises(RequestError, match="has no networks, and so nothing to learn"):
        find_genome(None, (), str(closed))
    with pytest.raises(
        RequestError, match=r"--start dpo: it cannot be written as networks; .*\.json.*cpo, lpo, orpo"
    ):
        find_genome(None, (), "dpo")
    with pytest.raises(RequestError, match=r"--start lpo:lam=0\.5 has no form as networks"):
        find_genome(None, (), "lpo:lam=0.5")
    with pytest.raises(RequestError, match="cpo is a '1s-mpo', not a 'tampo'"):
        find_genome("tampo", (), "cpo")


@pytest.mark.parametrize(
    ("start", "family"),
    [
        ("sft", "1s-mpo"),
        ("cpo:beta=0.02", "1s-mpo"),
        ("orpo:lam=0.3", "1s-mpo"),
        ("lpo:lam=20", "1s-mpo"),
        ("tampo:beta=0.3,gamma=2,schedule=linear", "tampo"),
        ("tampo:beta=0.3,gamma=2,schedule=quadratic", "tampo"),
    ],
)
def test_a_search_begins_with_a_loss_written_by_hand(start: str, family: str) -> None:
    found = find_genome(None, (), start)
    assert found.family == family
    rng = np.random.default_rng(0)
    logps = rng.uniform(-50, 1, (2, 200))
    batch = PreferenceBatch(
        *(SequenceLogps(side * 7, np.full(200, 7.0)) for side in logps), progress=np.float64(0.4)
    )
    by_hand = mpobench.objective(start)
    if "reduction" in type(by_hand).model_fields:
        by_hand = by_hand.model_copy(update={"reduction": "mean"})
    np.testing.assert_allclose(found.start.loss(batch), by_hand.loss(batch), rtol=1e-5, atol=1e-5)
    begun = found.objective(found.decoded(found.encoded(0.03)))
    np.testing.assert_allclose(begun.loss(batch), by_hand.loss(batch), rtol=1e-4, atol=1e-4)


def test_the_sigmoid_schedule_as_a_network_runs_from_0_to_1() -> None:
    start = find_genome(None, (), "tampo:schedule=sigmoid").start
    t = np.linspace(0, 1, 101)
    weight = start.preference_weight(np, t)
    assert (weight[0], weight[-1]) == (0, 1)
    np.testing.assert_allclose(weight, 1 / (1 + np.exp(-20 * (t - 0.75))), atol=0.01)
