"""Files of other editors: a byte-order mark in front, and line separators of Unicode inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_results import result

from mpobench.planning.suite import Suite
from mpobench.protocols import Sample
from mpobench.registry.objective_files import read_objective_card
from mpobench.results.store import ResultStore, jsonl, read_results

MARK = b"\xef\xbb\xbf"
SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c\x1e"


def test_a_suite_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_bytes(MARK + b'objectives = "dpo"\r\nseeds = 2\r\n')
    assert Suite.from_toml(file) == Suite.of({"objectives": "dpo", "seeds": 2})


def test_results_with_a_byte_order_mark(tmp_path: Path) -> None:
    results = [result(key="a"), result(key="b", seed=1)]
    published = tmp_path / "mine.jsonl"
    published.write_bytes(MARK + jsonl(results))
    assert read_results(published) == results
    store = ResultStore(tmp_path / "results")
    store.save(results[0])
    store.path("a").write_bytes(MARK + store.path("a").read_bytes())
    assert store.load("a") == results[0]
    assert store.load_all() == results[:1]


def test_an_objective_file_with_a_byte_order_mark(found: Path) -> None:
    card = read_objective_card(found)
    found.write_bytes(MARK + found.read_bytes())
    assert read_objective_card(found) == card


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_line_of_results_ends_at_a_newline_only(newline: bytes, tmp_path: Path) -> None:
    samples = (Sample(f"a{SEPARATORS}b", f"c{SEPARATORS}d", 1.0),)
    results = [result(key=key, samples=samples, objective=f"odd{SEPARATORS}") for key in "ab"]
    published = tmp_path / "odd.jsonl"
    published.write_bytes(jsonl(results).replace(b"\n", newline))
    assert read_results(published) == results
