from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpobench.errors import SpecError
from mpobench.registry.specs import Spec, canonical, format_value, parse, read_value, split_list, split_sum

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("dpo", Spec("dpo")),
        (" noisy : 0.1 ", Spec("noisy", ((None, "0.1"),))),
        ("tampo:schedule=sigmoid, beta=2", Spec("tampo", (("schedule", "sigmoid"), ("beta", "2")))),
        ("tla:mjx,pairs=8", Spec("tla", ((None, "mjx"), ("pairs", "8")))),
        ('net:sizes=[64,64],name="a,b=c"', Spec("net", (("sizes", "[64,64]"), ("name", '"a,b=c"')))),
        ("1s-mpo:beta=1e+3", Spec("1s-mpo", (("beta", "1e+3"),))),
        ("judge:url=http://host:80/a=b", Spec("judge", (("url", "http://host:80/a=b"),))),
        ("judge:file=a/b.json", Spec("judge", (("file", "a/b.json"),))),
        ("./a b+c:d/o.json", Spec("./a b+c:d/o.json")),
        ("o.json : lam=0.5", Spec("o.json", (("lam", "0.5"),))),
        ("./a:b/o.json:file=x.json", Spec("./a:b/o.json", (("file", "x.json"),))),
    ],
)
def test_parse(text: str, spec: Spec) -> None:
    assert parse(text) == spec


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "no name"),
        (":0.1", "no name"),
        ("beta=2", "not a name"),
        ("two words", "not a name"),
        ("noisy:", "a value is missing"),
        ("noisy:0.1,", "a value is missing"),
        ("dpo:beta=", "no value for 'beta'"),
        ("dpo:be ta=1", "'be ta' .* is not a key"),
        ("dpo:=1", "is not a key"),
        ("dpo:beta=1,beta=2", "'beta' twice"),
        ("noisy:0.1,0.2", r"several values without a key \(0.1, 0.2\)"),
        ("net:sizes=[64", "open quote or bracket"),
        ('net:name="a', "open quote or bracket"),
    ],
)
def test_malformed_specs_get_one_clear_line(text: str, line: str) -> None:
    with pytest.raises(SpecError, match=line) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("dpo", ["dpo"]),
        (
            "dpo,tampo:schedule=sigmoid,beta=2,orpo",
            ["dpo", "tampo:schedule=sigmoid,beta=2", "orpo"],
        ),
        ("dpo, beta=2 ,orpo", ["dpo:beta=2", "orpo"]),
        ("mixed:a=1+noisy,rate=0.1,base", ["mixed:a=1+noisy:rate=0.1", "base"]),
        ("net:sizes=[64,64],dpo", ["net:sizes=[64,64]", "dpo"]),
        ("judge:model=a,url=http://x,dpo", ["judge:model=a,url=http://x", "dpo"]),
        ("dpo,./a:b/o.json,lam=2,beta=1,orpo", ["dpo", "./a:b/o.json:lam=2,beta=1", "orpo"]),
    ],
)
def test_split_list(text: str, specs: list[str]) -> None:
    assert split_list(text) == specs


@pytest.mark.parametrize("text", ["", "dpo,", ",dpo", "dpo,,orpo", "beta=2,dpo"])
def test_split_list_rejects_stray_commas_and_homeless_arguments(text: str) -> None:
    with pytest.raises(SpecError, match=r"stray|belongs to no name"):
        split_list(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mixed+noisy:0.1", ["mixed", "noisy:0.1"]),
        ("slow:1e+3+noisy:0.1", ["slow:1e+3", "noisy:0.1"]),
        ('a:name="b+c"', ['a:name="b+c"']),
        ("./a+b/o.json:lam=1", ["./a+b/o.json:lam=1"]),
        ("mixed+judge:file=a.json", ["mixed", "judge:file=a.json"]),
    ],
)
def test_split_sum(text: str, parts: list[str]) -> None:
    assert split_sum(text) == parts


@pytest.mark.parametrize(
    ("fields", "positional", "text"),
    [
        ({}, None, "x"),
        ({"rate": 0.1}, "rate", "x:0.1"),
        ({"rate": 0.1}, None, "x:rate=0.1"),
        ({"rate": 0.1, "at": 2.0}, "rate", "x:at=2,rate=0.1"),
        ({"on": True, "off": None, "big": 1e22}, None, "x:big=1e+22,off=null,on=true"),
    ],
)
def test_canonical(fields: dict[str, object], positional: str | None, text: str) -> None:
    assert canonical("x", fields, positional) == text


@given(NAMES, st.dictionaries(KEYS, VALUES, max_size=4))
def test_canonical_specs_parse_back_and_do_not_depend_on_order(name: str, fields: dict[str, object]) -> None:
    text = canonical(name, fields)
    assert canonical(name, dict(reversed(fields.items()))) == text
    assert split_list(text) == split_sum(text) == [text]
    spec = parse(text)
    assert spec.name == name
    assert spec.args == tuple((key, format_value(fields[key])) for key in sorted(fields))


@given(NAMES, VALUES)
def test_a_positional_value_parses_back(name: str, value: object) -> None:
    assert parse(canonical(name, {"rate": value}, "rate")).args == ((None, format_value(value)),)


@given(st.text() | st.lists(st.integers() | st.text()) | st.none())
def test_texts_and_lists_come_back_as_they_were(value: object) -> None:
    assert read_value(format_value(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_to_the_last_bit(value: float) -> None:
    assert repr(float(format_value(value))) == repr(value)


@given(st.text(max_size=30))
def test_whatever_is_typed_gets_a_spec_or_one_line(text: str) -> None:
    outcome = _read_all(text)
    assert outcome
    assert all("\n" not in line for line in outcome)


def _read_all(text: str) -> list[str]:
    try:
        return [parse(part).name for spec in split_list(text) for part in split_sum(spec)]
    except SpecError as error:
        return [str(error)]


def test_values_that_are_not_json_are_refused() -> None:
    with pytest.raises(SpecError, match="cannot be written"):
        format_value(object())
    with pytest.raises(SpecError, match="not valid JSON"):
        read_value("[1,")
