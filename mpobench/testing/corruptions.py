"""The check of corruptions."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpobench.errors import SpecError, one_line
from mpobench.protocols import DatasetCorruption
from mpobench.registry.corruption_sum import compose, decisions
from mpobench.registry.registry import Registry
from mpobench.testing.expect import expect, no_exception
from mpobench.testing.samples import Doubt, Flips, Sides
from mpobench.testing.subjects import Subject, check_value, subject

PAIRS = 4000
"""Pairs of the statistics; a sound corruption fails each in one case of ten million."""


def check_corruption(corruption: str | DatasetCorruption, *, registry: Registry | None = None) -> None:
    """Checks a corruption. A bare name takes the examples of its required fields.

    - It is a value; its spec builds it again; its fields are described.
    - ``sources``, ``preference`` and ``flip`` have the promised shapes, dtypes and values, for any number of pairs,
      returns of any size among them.
    - Its draws come from the generator alone: again the same from the same one, others from another one; their rates do
      not depend on the seed or on the place in the dataset.
    - The judge decides each pair by its own returns.
    - It can be added to corruptions that decide something else, in either order, and to no other one.

    Args:
        corruption: Registered name, spec, or an object.
        registry: Components; None for those that are installed.

    Raises:
        AssertionError: With one sentence, for the first promise that is not kept.
    """
    checked = subject("corruption", corruption, registry)
    check_value(checked)
    with no_exception(checked.label, "accept any number of pairs, and finite returns of any size"):
        _check_shapes(checked)
        _check_draws(checked, "sources", checked.component.sources)
        _check_draws(checked, "flip", checked.component.flip)
        _check_judge(checked)
    _check_sums(checked)


def _check_shapes(checked: Subject[DatasetCorruption]) -> None:
    corruption = checked.component
    for pairs in (0, 1, 7):
        rng = np.random.default_rng(0)
        returns = rng.normal(size=(pairs, 2))
        sources = corruption.sources(pairs, rng)
        _expect_array(checked, "sources", sources, (pairs, 2), np.int8)
        expect(
            np.isin(sources, [0, 1]).all(),
            f"{checked.label}: sources() names other agents than ORIGINAL, TARGET",
        )
        _expect_array(checked, "preference", corruption.preference(returns), (pairs,), np.float64)
        _expect_array(checked, "flip", corruption.flip(pairs, rng), (pairs,), np.bool_)


def _expect_array(
    checked: Subject[DatasetCorruption], method: str, value: Any, shape: tuple[int, ...], dtype: Any
) -> None:
    found = f"{type(value).__name__}" if not isinstance(value, np.ndarray) else f"{value.dtype} {value.shape}"
    right = isinstance(value, np.ndarray) and value.shape == shape and value.dtype == dtype
    wanted = f"{np.dtype(dtype).name} {shape}"
    expect(
        right, f"{checked.label}: {method}() returned {found} for {shape[0]} pairs: return an array {wanted}"
    )


def _check_draws(
    checked: Subject[DatasetCorruption],
    method: str,
    draw: Callable[[int, np.random.Generator], NDArray[Any]],
) -> None:
    """Draws are a function of the generator, and have one rate."""
    label = f"{checked.label}: {method}()"
    first, again, other = (draw(PAIRS, np.random.default_rng(seed)) for seed in (3, 3, 4))
    expect(np.array_equal(first, again), f"{label} differs for the same generator: draw from rng only")
    varied = any(len(np.unique(column)) > 1 for column in first.reshape(PAIRS, -1).T)
    fixed = varied and np.array_equal(first, other)
    expect(
        not fixed,
        f"{label} is the same for every seed: draw from the rng that is passed, not from one of its own",
    )
    half = PAIRS // 2
    for column, column_of_other in zip(first.reshape(PAIRS, -1).T, other.reshape(PAIRS, -1).T, strict=True):
        advice = "draw all pairs from one distribution"
        seeds = _same_rate(column, column_of_other)
        expect(seeds, f"{label} is true at a rate of {column.mean():.3f} or {column_of_other.mean():.3f}, "
               f"depending on the seed: {advice}")  # fmt: skip
        halves = _same_rate(column[:half], column[half:])
        expect(halves, f"{label} is true at a rate of {column[:half].mean():.3f} in the first half of a dataset and "
               f"{column[half:].mean():.3f} in the second: {advice}")  # fmt: skip


def _same_rate(one: NDArray[Any], other: NDArray[Any]) -> bool:
    from scipy.stats import fisher_exact

    hits = [[int(part.sum()), int(len(part) - part.sum())] for part in (one, other)]
    return bool(fisher_exact(hits).pvalue > 1e-7)


def _check_judge(checked: Subject[DatasetCorruption]) -> None:
    corruption, label = checked.component, f"{checked.label}: preference()"
    for scale in (1e-6, 1.0, 1e6, 1e300):
        returns = scale * np.array([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            preference = corruption.preference(returns)
        inside = ((preference >= 0) & (preference <= 1)).all()
        expect(inside, f"{label} returned {preference} for returns of {scale:g}: return probabilities")
    returns = np.random.default_rng(5).normal(1000, 3, (50, 2))
    every = corruption.preference(returns)
    expect(
        np.array_equal(every, corruption.preference(returns)),
        f"{label} differs for the same returns: draw nothing",
    )
    alone = np.concatenate([corruption.preference(row[None]) for row in returns])
    message = f"{label} depends on the returns of other pairs: judge each pair by its own"
    expect(np.allclose(alone, every, rtol=1e-9, atol=1e-12), message)


def _check_sums(checked: Subject[DatasetCorruption]) -> None:
    """``+`` with corruptions that decide one thing each."""
    own = decisions(checked.component)
    samples = {"sources": Sides(), "preference": Doubt(), "flip": Flips()}
    for decision, sample in samples.items():
        if decision != "flip" and decision in own:
            try:
                compose([("it", checked.component), ("the other", sample)])
            except SpecError:
                continue
            raise AssertionError(
                f"{checked.label} was added to another corruption of {decision}: override {decision}()"
            )
        if not own:
            continue
        try:
            total = compose([("it", checked.component), ("the other", sample)])
        except SpecError as error:
            raise AssertionError(
                f"{checked.label} cannot be added to one of {decision}: {one_line(error)}"
            ) from error
        expect(
            pickle.loads(pickle.dumps(total)) == total,
            f"a sum with {checked.label} differs from its pickled copy",
        )
        _check_parts(checked, sample, total)


def _check_parts(
    checked: Subject[DatasetCorruption], sample: DatasetCorruption, total: DatasetCorruption
) -> None:
    returns = np.random.default_rng(6).normal(size=(100, 2))
    decides = decisions(checked.component)
    judge = checked.component if "preference" in decides else sample
    same = np.array_equal(total.preference(returns), judge.preference(returns))
    expect(same, f"a sum with {checked.label} judges otherwise than its part: let preference() keep no state")
    rng, parts = np.random.default_rng(7), np.random.default_rng(7)
    flips = total.flip(1000, rng)
    expected = checked.component.flip(1000, parts) ^ sample.flip(1000, parts)
    expect(
        np.array_equal(flips, expected), f"a sum with {checked.label} flips otherwise than its parts in turn"
    )
