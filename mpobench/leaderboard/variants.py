"""Variants: the configurations in which the cells of one objective were run, told apart by what differs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from mpobench.protocols import JsonObject
from mpobench.results.cell_result import CellResult
from mpobench.values import leaves


def variants(results: Sequence[CellResult]) -> dict[str, list[CellResult]]:
    """Results by what sets their configuration apart from others on the same corruption; "" where nothing does.

    Configurations may well differ between corruptions, where each was tuned; within one, averaging over them would mix
    two experiments. Seeds always differ, and tell nothing apart.

    Args:
        results: Results of one objective in a table.
    """
    firsts: dict[str, JsonObject] = {}
    if all(firsts.setdefault(result.corruption, result.config) == result.config for result in results):
        return {"": list(results)}
    flat = [(result, _stated(result.config)) for result in results]
    paths = sorted({path for _, stated in flat for path in stated})
    values = defaultdict(set)
    for result, stated in flat:
        for path in paths:
            values[result.corruption, path].add(stated.get(path, "unset"))
    varying = [path for path in paths if any(len(values[c, path]) > 1 for c in firsts)]
    by_variant = defaultdict(list)
    for result, stated in flat:
        by_variant[", ".join(f"{path}={stated.get(path, 'unset')}" for path in varying)].append(result)
    return by_variant


def _stated(config: JsonObject) -> dict[str, str]:
    """The values of a configuration as JSON, but for seeds."""
    return {path: json.dumps(value) for path, value in leaves(config) if "seed" not in path and value != {}}
