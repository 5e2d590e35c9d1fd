from __future__ import annotations

import math
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpobench import CorruptionCard, ObjectiveCard, hookimpl
from mpobench.errors import PluginError, SpecError
from mpobench.files.keys import content_key
from mpobench.registry.cards import Kind
from mpobench.registry.corruption_sum import ComposedCorruption, decisions
from mpobench.registry.registry import PROTOCOLS, Registry, get_registry

KINDS: list[Any] = sorted(PROTOCOLS)
INSTALLED = [(kind, each.card.name) for kind in KINDS for each in get_registry().cards(kind)]


def test_the_built_in_plugins_load(registry: Registry) -> None:
    assert [broken for broken in registry.broken if broken.distribution == "mpobench"] == []
    assert {each.card.name for each in registry.cards("corruption")} >= {
        "base",
        "noisy",
        "mixed",
        "bad-judge",
    }


@pytest.mark.parametrize(("kind", "name"), INSTALLED)
def test_every_component_resolves_to_its_protocol(registry: Registry, kind: Kind, name: str) -> None:
    model = registry.resolve(kind, name)
    assert issubclass(model, PROTOCOLS[kind])
    assert model.__doc__
    for field, info in model.model_fields.items():
        assert info.description, f"{name}: {field} has no description"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("loss", "loss"),
        ("loss:beta=1.0,steps=1", "loss"),
        ("loss:steps=2,beta=0.50", "loss:beta=0.5,steps=2"),
        ("loss:smooth=yes", "loss:smooth=true"),
        ("loss:clip=null", "loss:clip=null"),
        ("loss:weights=[1, 2]", "loss:weights=[1.0,2.0]"),
        ('loss:label="a,b"', 'loss:label="a,b"'),
    ],
)
def test_canonical_text(toys: Registry, text: str, canonical: str) -> None:
    assert toys.build("objective", text).text == canonical


def test_positional_fields(toys: Registry) -> None:
    assert toys.build("corruption", "flip:rate=0.10").text == "flip:0.1"
    assert toys.build("corruption", "flip:0.1,salt=3").text == "flip:rate=0.1,salt=3"
    with pytest.raises(SpecError, match=r"'rate' is given twice"):
        toys.build("corruption", "flip:0.1,rate=0.2")
    with pytest.raises(SpecError, match=r"'2' needs a key \(fields: beta, "):
        toys.build("objective", "loss:2")


def test_defaults_lie_below_explicit_values(toys: Registry) -> None:
    def defaults(name: str, fields: frozenset[str]) -> Mapping[str, Any]:
        assert (name, "beta" in fields) == ("loss", True)
        return {"reduction": "mean", "beta": 3}

    silent = toys.build("objective", "loss", defaults)
    assert silent.text == "loss"
    assert silent.component.model_dump()["reduction"] == "mean"
    assert toys.build("objective", "loss:reduction=mean,beta=3", defaults) == silent
    assert toys.build("objective", "loss:reduction=sum,beta=1", defaults).text == "loss:beta=1,reduction=sum"


@given(
    beta=st.floats(min_value=1e-300, allow_infinity=False),
    steps=st.integers(1, 9),
    reduction=st.sampled_from(["sum", "mean"]),
    smooth=st.booleans(),
    label=st.text(),
    clip=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    weights=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)
def test_canonical_text_builds_the_same_component(toys: Registry, **fields: Any) -> None:
    from mpobench.registry.specs import canonical

    built = toys.build("objective", canonical("loss", fields))
    again = toys.build("objective", built.text)
    assert again == built
    assert content_key(again.identity) == content_key(built.identity)
    assert built.component.model_dump() == {**fields, "weights": tuple(fields["weights"])}


@pytest.mark.parametrize(
    ("kind", "text", "line"),
    [
        ("objective", "los", "unknown objective 'los': did you mean 'loss'?"),
        ("objective", "zzz", "unknown objective 'zzz': known: loss, other-loss"),
        ("objective", "LOSS", "did you mean 'loss'?"),
        (
            "objective",
            "loss:bta=1",
            "objective 'loss': no field 'bta': did you mean 'beta'? (fields: beta, steps",
        ),
        ("objective", "loss:beta=0", "beta='0': input should be greater than 0 (float in (0, ∞))"),
        ("objective", "loss:beta=x", "beta='x': input should be a valid number"),
        ("objective", "loss:beta=inf", "beta='inf': input should be a finite number"),
        ("objective", "loss:steps=1.5", "steps='1.5': input should be a valid integer"),
        ("objective", "loss:reduction=men", "reduction='men': input should be 'sum' or 'mean' (sum|mean)"),
        ("objective", "loss+other-loss", "only corruptions have sums"),
        ("corruption", "flip", "corruption 'flip': 'rate' has to be given (float in [0, 1])"),
        ("corruption", "flip:1.5", "rate='1.5': input should be less than or equal to 1 (float in [0, 1])"),
        ("corruption", "swap+swap", "'swap' and 'swap' cannot be added: both decide the sources"),
    ],
)
def test_bad_requests_get_one_line(toys: Registry, kind: Any, text: str, line: str) -> None:
    with pytest.raises(SpecError) as caught:
        toys.build(kind, text)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("plain", "plain"),
        ("plain+plain", "plain"),
        ("plain+flip:0.1", "flip:0.1"),
        ("swap+flip:0.1", "flip:0.1+swap"),
        ("flip:0.1+swap+plain", "flip:0.1+swap"),
        ("flip:0.3+doubt+flip:0.1", "doubt+flip:0.1+flip:0.3"),
    ],
)
def test_sums_have_one_canonical_form(toys: Registry, text: str, canonical: str) -> None:
    built = toys.build("corruption", text)
    assert built.text == canonical
    again = toys.build("corruption", canonical)
    assert again == built
    assert again.identity == built.identity


def test_a_sum_decides_what_its_parts_decide(toys: Registry) -> None:
    built = toys.build("corruption", "swap+flip:0.25+doubt")
    assert isinstance(built.component, ComposedCorruption)
    assert decisions(built.component) == {"sources", "preference", "flip"}
    assert decisions(toys.build("corruption", "plain").component) == set()
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(built.component.sources(2, rng), [[1, 0], [1, 0]])
    np.testing.assert_array_equal(built.component.preference(np.array([[9.0, 0.0]])), [0.5])
    assert isinstance(built.identity, list)
    assert [part["name"] for part in built.identity] == ["doubt", "flip", "swap"]
    assert [part["fields"] for part in built.identity] == [{}, {"rate": 0.25, "salt": 0}, {}]


def test_flips_of_a_sum_are_independent(toys: Registry) -> None:
    pairs, p, q = 100_000, 0.3, 0.2
    flips = toys.build("corruption", f"flip:{p}+flip:{q}").component.flip(pairs, np.random.default_rng(1))
    expected = p * (1 - q) + q * (1 - p)
    assert abs(flips.mean() - expected) < 5 * math.sqrt(expected * (1 - expected) / pairs)


def test_identity_tells_versions_and_names_apart(toys: Registry) -> None:
    loss, other = (toys.build("objective", name) for name in ("loss", "other-loss"))
    assert loss.identity == {"name": "loss", "version": "1", "fields": loss.component.model_dump(mode="json")}
    assert content_key(loss.identity) != content_key(other.identity)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans(), min_size=1))
def test_content_keys_depend_on_content_alone(content: dict[str, Any]) -> None:
    key = content_key(content)
    assert content_key(dict(reversed(content.items()))) == key
    assert len(key) == 24
    assert int(key, 16) >= 0
    assert content_key({**content, "one more": 1, "": 2}) != key


@pytest.mark.parametrize("content", [math.nan, math.inf, {"a": np.float32(1)}, object()])
def test_content_keys_refuse_what_is_not_json(content: object) -> None:
    with pytest.raises(PluginError, match="not plain JSON"):
        content_key(content)


def _module(name: str, source: Mapping[str, Any]) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(source)
    sys.modules[name] = module
    return module


def _objective_at(target: str, **extra: Any) -> types.ModuleType:
    @hookimpl
    def mpobench_objectives() -> Any:
        yield ObjectiveCard(name="odd", summary="Odd", target=target, **extra)

    return _module("odd_plugin", {"mpobench_objectives": mpobench_objectives})


@pytest.mark.parametrize(
    ("target", "extra", "line"),
    [
        (
            "no_such_module:Loss",
            {},
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("toy_plugin:Missing", {}, "cannot be imported: AttributeError"),
        ("toy_plugin:Flip", {}, "is not a subclass of mpobench.Objective"),
        ("toy_plugin:hookimpl", {}, "is not a subclass of mpobench.Objective"),
        ("mpobench.protocols:Objective", {}, "does not implement loss"),
        ("toy_plugin:Loss", {"positional": "rate"}, "has no field 'rate', which its card names"),
    ],
)
def test_a_card_that_promises_too_much(target: str, extra: dict[str, Any], line: str) -> None:
    registry = Registry.of_modules([(_objective_at(target, **extra), "odd-dist", "3.1")])
    with pytest.raises(PluginError) as caught:
        registry.build("objective", "odd")
    assert str(caught.value).startswith(f"objective 'odd' of odd-dist 3.1 ({target}) ")
    assert line in str(caught.value)


def test_cards_are_of_their_own_kind() -> None:
    @hookimpl
    def mpobench_objectives() -> Any:
        yield ObjectiveCard(name="fine", summary="Fine", target="toy_plugin:Loss")
        yield CorruptionCard(name="stray", summary="Stray", target="toy_plugin:Flip")

    module = _module("stray_plugin", {"mpobench_objectives": mpobench_objectives})
    registry = Registry.of_modules([(module, "stray", "1")])
    assert [each.card.name for each in registry.cards("objective")] == ["fine"]
    (broken,) = registry.broken
    assert "yields a CorruptionCard, not a ObjectiveCard" in broken.error
