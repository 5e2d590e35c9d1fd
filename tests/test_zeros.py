"""-0.0 is 0: one key, one row, whoever writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpobench.env_kit.env_file import Settings
from mpobench.files.keys import content_key
from mpobench.planning.overrides import overrides
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.protocols import Component
from mpobench.registry.registry import Registry
from mpobench.values import without_negative_zero

WAYS = ["noisy:-0.0", "noisy:-0", "noisy:0", "noisy:0.0", "noisy:rate=-0e5"]


class Everything(Component):
    number: float = 1.0
    numbers: tuple[float, ...] = ()
    any: Any = None
    by_name: Mapping[str, list[float]] = {}


class EverythingSettings(Settings):
    number: float = 1.0
    any: Any = None


def test_components_and_settings_hold_no_negative_zero() -> None:
    one = Everything(number=-0.0, numbers=(-0.0, 1), any=[{"a": (-0.0, "-0.0")}], by_name={"b": [-0.0]})
    assert one.model_dump_json() == (
        '{"number":0.0,"numbers":[0.0,1.0],"any":[{"a":[0.0,"-0.0"]}],"by_name":{"b":[0.0]}}'
    )
    assert EverythingSettings(number=-0.0, any=[-0.0]).model_dump_json() == '{"number":0.0,"any":[0.0]}'
    assert (
        Everything.model_validate({"number": "-0.0"}).model_dump_json(include={"number"}) == '{"number":0.0}'
    )


def test_ways_to_write_zero_are_one_cell(registry: Registry) -> None:
    suite = Suite.of({"objectives": "dpo", "corruptions": WAYS, "scale": "smoke"})
    (cell,) = plan(suite, registry).cells
    assert cell.corruption == "noisy:0"


def test_a_suite_file_and_an_override_are_no_exception(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    text = (
        'envs = "smollm-style"\nscale = "smoke"\n'
        'objectives = [{name = "1s-mpo", lam = ZERO}]\ncorruptions = [{name = "noisy", rate = ZERO}]\n'
        "[training]\nwarmup = ZERO\n"
    )
    keys = set()
    for zero in ("0", "-0.0", "0.0", "-0e1"):
        file.write_text(text.replace("ZERO", zero))
        suite = Suite.from_toml(file)
        options = {**suite.model_dump(), "training": overrides([f"warmup={zero}"])}
        for asked in (suite, Suite.of(options)):
            keys |= {cell.key for cell in plan(asked, registry).cells}
    assert len(keys) == 1


def test_a_key_never_sees_a_negative_zero() -> None:
    assert content_key({"a": [-0.0, {"b": -0.0}]}) == content_key({"a": [0.0, {"b": 0.0}]})
    assert content_key("-0.0") != content_key("0.0"), "a text is a text"
    assert content_key(-0.05) != content_key(0.05)


def test_keys_of_other_values_are_those_of_earlier_versions() -> None:
    content = {"name": "dpo", "fields": {"beta": 0.1, "x": -0.05, "text": "-0.0 ±"}, "seeds": [0, 1]}
    assert content_key(content) == "c1540c9ac823b36b34bed7e0"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_nothing_but_the_sign_of_zero_changes(value: object) -> None:
    changed = without_negative_zero(value)
    assert changed == value
    assert type(changed) is type(value)
    assert content_key(changed) == content_key(value)


@pytest.mark.parametrize("value", [-0.0, 0.0])
def test_zero_is_positive(value: float) -> None:
    assert math.copysign(1.0, without_negative_zero(value)) == 1.0
