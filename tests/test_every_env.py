"""Every registered environment and evaluator keeps the promises of its protocol."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent / "llm"))

from hub_samples import dpo_mix, tiny_model

from mpobench.registry.registry import get_registry
from mpobench.testing import check_env, check_evaluator
from mpobench_llm.envs.smollm_style import model as smollm

CARDS = {registered.card.name: registered.card for registered in get_registry().cards("env")}
NEEDS_AN_ACCELERATOR = {"gemma-7b-dpo-mix", "gemma-7b-capybara", "mistral-7b-dpo-mix"}
ANY_MODEL = "llm"
"""Trains any model on any data: a tiny one in the tests, which stands for those that need an accelerator."""

EVALUATED_ON = {
    "return": "hopper",
    "sampled-return": "hopper",
    "return-at-agents-std": "hopper:std=learned",
    "style-reward": "smollm-style",
    "preference-accuracy": ANY_MODEL,
}
ELSEWHERE = {"judge": "tests/llm/judge, which has servers of its own"}


def marked(name: str) -> Any:
    """A case of a test, slow where physics is compiled."""
    model = EVALUATED_ON.get(name, name) in ("smollm-style", ANY_MODEL)
    return pytest.param(name, marks=() if model else pytest.mark.slow)


class Place(NamedTuple):
    """An environment and the folder of its shared files."""

    env: str
    cache: Path


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The spec of a tiny model on a few pairs."""
    folder = tmp_path_factory.mktemp("tiny-llm")
    model, data = tiny_model(folder / "model"), dpo_mix(folder / "pairs")
    return f"{ANY_MODEL}:model={model},dataset={data}"


def test_all_evaluators_are_checked_somewhere() -> None:
    names = {registered.card.name for registered in get_registry().cards("evaluator")}
    assert names == EVALUATED_ON.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("name", sorted(CARDS.keys() - {ANY_MODEL}))
def test_planning_keeps_what_the_protocol_promises(name: str) -> None:
    check_env(name, train=False)


@pytest.fixture
def place(
    name: str, shared_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> Place:
    """Where a component is checked: with tiny models in place of real ones, which tests/llm trains by the program."""
    env = EVALUATED_ON.get(name, name)
    if env == ANY_MODEL:
        return Place(request.getfixturevalue("tiny_llm"), shared_cache)
    if env == "smollm-style":
        monkeypatch.setattr(smollm, "_write", lambda gguf, folder: tiny_model(folder))
        return Place(env, tmp_path)
    return Place(env, shared_cache)


@pytest.mark.parametrize("name", [*map(marked, sorted(CARDS.keys() - NEEDS_AN_ACCELERATOR))])
def test_training_keeps_what_the_protocol_promises(name: str, place: Place) -> None:
    check_env(place.env, cache=place.cache)


@pytest.mark.parametrize("name", [*map(marked, EVALUATED_ON)])
def test_scores_keep_what_the_protocol_promises(name: str, place: Place) -> None:
    check_evaluator(name, place.env, cache=place.cache)
