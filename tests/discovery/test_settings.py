"""Requests that cannot be a search are refused in one line, before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import a_search

from mpobench import RequestError
from mpobench.registry.registry import get_registry
from mpobench_discovery.settings import Search


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"population": 5}, "population=5: members come in antithetic pairs: take an even number"),
        ({"population": 0}, "population=0"),
        ({"generations": 0}, "generations=0"),
        ({"sigma": 0.0}, "sigma=0.0"),
        ({"sigma": 1e30}, "sigma=1e"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"scale": "huge"}, "scale='huge': choose one of smoke, quick, paper"),
        ({"seed": -1}, "seed=-1"),
        ({"populaton": 4}, "did you mean 'population'"),
    ],
)
def test_bad_values(values: dict[str, Any], error: str) -> None:
    with pytest.raises(RequestError, match=error) as caught:
        a_search(**values)
    assert "\n" not in str(caught.value)


def test_what_is_said_wins_over_the_environment_s_and_that_over_the_scale_s() -> None:
    def defaults(env: str, scale: str) -> dict[str, Any]:
        return {"population": 6, "generations": 7, "training": {"stride": 4, "epochs": 3}}

    values = {"scale": "smoke", "family": "1s-mpo", "generations": 9, "training": {"epochs": 5}}
    search = Search.of(values, defaults)
    assert (search.population, search.generations, search.datasets) == (6, 9, 1)
    assert search.training == {"stride": 4, "epochs": 5}


REQUIRED = {"llm": "llm:model=a/model,dataset=a/dataset"}
"""Environments that are not one without their fields."""


@pytest.mark.parametrize("scale", ["smoke", "quick", "paper"])
@pytest.mark.parametrize(
    "name", [REQUIRED.get(each.card.name, each.card.name) for each in get_registry().cards("env")]
)
def test_every_environment_s_own_defaults_are_a_search(name: str, scale: Any) -> None:
    env = get_registry().build("env", name).component
    search = Search.of(
        {"env": name, "scale": scale, "family": "1s-mpo"}, lambda *_: env.search_defaults(scale)
    )
    assert search.scale == scale
    if search.evaluator:
        assert get_registry().build("evaluator", search.evaluator).component.skip_reason(env) is None


def test_hopper_has_half_the_generations_at_the_paper_s_scale() -> None:
    env = get_registry().build("env", "hopper").component
    assert env.search_defaults("paper")["generations"] == 128


@given(env=st.text(min_size=1), corruption=st.text(min_size=1))
def test_every_request_has_a_folder_of_its_own_below_discoveries(env: str, corruption: str) -> None:
    folder = a_search(env=env, corruption=corruption).folder
    assert folder.parent.name == "discoveries"
    assert not {"/", ":", "\0", "\\"} & set(folder.name)
