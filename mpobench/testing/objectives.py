"""The check of objectives."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mpobench.errors import SpecError
from mpobench.protocols import Objective, SearchRange, Tensors, searched
from mpobench.registry.registry import Registry
from mpobench.registry.specs import format_value
from mpobench.testing.backends import (
    MEMBERS,
    Gradients,
    JaxLoss,
    installed,
    jax_loss_type,
    torch_gradients,
    torch_namespace,
    torch_slopes,
)
from mpobench.testing.expect import expect, no_exception
from mpobench.testing.pairs import EXTREMES, Pairs, random_pairs
from mpobench.testing.searches import values_to_try
from mpobench.testing.subjects import Subject, check_value, fields_of, subject

PAIRS = 48
"""Pairs of every batch in jax and torch, so that one compiled program serves all."""

STABLE = "use a form that stays finite (logaddexp, log1p, a clip), also in the branch that where() leaves out"
TRACED = "use batch.xp.where in place of an if on a number, and no float() or math.*"


def check_objective(objective: str | Objective, *, registry: Registry | None = None) -> None:
    """Checks an objective, and each other choice of its fields that have finitely many values.

    - It is a value; its spec builds it again; its fields are described and their search ranges are allowed.
    - It returns one loss a pair, in the array library and dtype of the batch.
    - No pair's loss depends on its place, or on other pairs, unless it asks for several (``min_pairs``).
    - It reads a reference exactly if it declares ``needs_reference``.
    - Values and gradients are finite on extreme pairs, and agree in jax and torch.
    - One program of jax serves all its numbers, networks, batches and values of progress; ``vmap`` maps over them.

    Args:
        objective: Registered name, spec, path of an objective file, or an object.
        registry: Components; None for those that are installed.

    Raises:
        AssertionError: With one sentence, for the first promise that is not kept.
    """
    variants = list(_variants(subject("objective", objective, registry)))
    for variant in variants:
        check_value(variant)
        _check_searches(variant)
        with no_exception(f"{variant.label} on a batch of numpy", "return one loss for each pair"):
            _check_batches(variant)
            _check_reference(variant)
        in_jax = _check_jax(variant) if installed("jax", variant.label) else None
        if installed("torch", variant.label):
            _check_torch(variant)
            if in_jax is not None:
                _check_agreement(variant, in_jax)
    first = variants[0]
    numbers = ", ".join(name for name, value in first.component.params.items() if isinstance(value, float))
    matter = not numbers or any(_numbers_matter(variant.component) for variant in variants)
    expect(matter, f"{first.label} is the same whatever its numbers {numbers} are: let loss() read them")


def _variants(first: Subject[Objective]) -> Iterator[Subject[Objective]]:
    """The objective, and one for each other choice of each discrete field. Those of a file are made by the file."""
    yield first
    if first.built is not None and (first.built.file or first.built.base):
        return
    objective = first.component
    for name, info in type(objective).model_fields.items():
        for choice in _choices(info.annotation):
            if choice == getattr(objective, name):
                continue
            try:
                if first.spec:
                    separator = "," if ":" in first.spec else ":"
                    spec = f"{first.spec}{separator}{name}={format_value(choice)}"
                    if f"{name}=" not in first.spec:
                        yield subject("objective", spec, first.registry)
                else:
                    other = type(objective)(**{**fields_of(objective), name: choice})
                    yield subject("objective", other, first.registry)
            except (AssertionError, ValidationError) as error:
                if not isinstance(error.__cause__ or error, SpecError | ValidationError):
                    raise  # else the choice is not allowed with the values of other fields


def _choices(annotation: Any) -> tuple[Any, ...]:
    if annotation is bool:
        return False, True
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(choice for part in get_args(annotation) for choice in _choices(part))
    return ()


def _check_searches(variant: Subject[Objective]) -> None:
    """Tuning may try both ends of every search range."""
    model = type(variant.component)
    for name, info in model.model_fields.items():
        if (search := searched(info)) is None:
            continue
        label = f"the search range {search} of field {name!r} of {variant.label}"
        for end in values_to_try(label, search):
            try:
                accepted = getattr(model(**{**fields_of(variant.component), name: end}), name)
            except ValidationError:
                accepted = None
            expect(
                accepted == end,
                f"{label} holds {end}, which the field rejects: narrow it or widen the bounds",
            )


def _ends(objective: Objective) -> list[dict[str, Any]]:
    """The params with all numbers at the lower ends of their search ranges, and at the upper ends."""
    low, high = dict(objective.params), dict(objective.params)
    for name, value in objective.params.items():
        search = searched(type(objective).model_fields[name])
        if isinstance(search, SearchRange):
            low[name], high[name] = float(search.low), float(search.high)
        elif isinstance(value, float):
            high[name] = _other_number(objective, name, value)
    return [low, high]


def _other_number(objective: Objective, name: str, value: float) -> float:
    """A value near the field's own one that it accepts as well."""
    for other in (1.5 * value + 0.1, value / 2, value - 0.1):
        try:
            type(objective)(**{**fields_of(objective), name: other})
        except ValidationError:
            continue
        return other
    return value


def _numbers_matter(objective: Objective) -> bool:
    """Whether the loss differs at two values of its numbers; some matter under other choices only."""
    batch = random_pairs(0, PAIRS).batch(np, "float64")
    low, high = (objective.model_copy(update=end).loss(batch) for end in _ends(objective))
    return not np.allclose(low, high)


def _check_batches(variant: Subject[Objective]) -> None:
    """Shape, dtype, and what the loss of a pair depends on; in numpy, and in eager jax and torch."""
    label, objective, pairs = variant.label, variant.component, random_pairs(4)
    for dtype in ("float32", "float64"):
        _expect_one_loss_per_pair(label, objective, pairs, np, dtype)
    needed = objective.min_pairs
    whole = type(needed) is int and needed >= 1
    expect(whole, f"{label} says min_pairs = {needed!r}: state a number of pairs, 1 or more")
    independent = True
    for seed in range(8):
        pairs = random_pairs(seed)
        every: NDArray[Any] = objective.loss(pairs.batch(np, "float64"))
        backwards = objective.loss(pairs.rows(slice(None, None, -1)).batch(np, "float64"))[::-1]
        order = f"{label} gives a pair another loss in another place of the batch: treat all pairs alike"
        expect(np.allclose(backwards, every, rtol=1e-9), order)
        for few in (1, 5):
            alone = objective.loss(pairs.rows(slice(0, few)).batch(np, "float64"))
            independent &= np.allclose(alone, every[:few], rtol=1e-9)
    if needed > 1:
        unneeded = f"{label} says min_pairs = {needed}, but no pair's loss depends on another: remove it"
        expect(not independent, unneeded)
    else:
        advice = "let no mean or sort run over pairs, or let min_pairs be the published batch size"
        expect(independent, f"{label} gives a pair another loss in the company of other pairs: {advice}")


def _expect_one_loss_per_pair(label: str, objective: Objective, pairs: Pairs, xp: Any, dtype: str) -> None:
    batch = pairs.batch(xp, dtype)
    loss, given = objective.loss(batch), batch.chosen.total
    kind = f"{type(given).__module__}.{type(given).__name__}"
    expect(
        type(loss) is type(given),
        f"{label} returned a {type(loss).__name__} for a batch of {kind}: compute with batch.xp only",
    )
    _expect_type(label, xp.__name__, len(pairs.chosen), tuple(loss.shape), str(loss.dtype), dtype)


def _expect_type(
    label: str, library: str, pairs: int, shape: tuple[int, ...], found: str, dtype: str
) -> None:
    advice = "return one loss a pair, without a sum or mean over pairs"
    expect(shape == (pairs,), f"{label} returned shape {shape} for {pairs} pairs of {library}: {advice}")
    found = found.removeprefix("torch.")
    advice = "make constants by xp.zeros_like or xp.ones_like, or write plain numbers"
    expect(found == dtype, f"{label} returned {found} for a batch of {dtype} in {library}: {advice}")


def _check_reference(variant: Subject[Objective]) -> None:
    label, objective = variant.label, variant.component
    batch = random_pairs(7).batch(np, "float64")
    alone = replace(batch, reference_chosen=None, reference_rejected=None)
    if not objective.needs_reference:
        try:
            same = np.array_equal(objective.loss(alone), objective.loss(batch))
        except (ValueError, AttributeError, TypeError):
            same = False
        expect(same, f"{label} reads a reference without saying so: declare needs_reference = True")
        return
    expect(
        objective.two_stage,
        f"{label} needs a reference that only an SFT stage makes: let two_stage be True",
    )
    try:
        objective.loss(alone)
    except ValueError:
        return
    raise AssertionError(
        f"{label} declares needs_reference, but never reads batch.reference: remove the declaration"
    )


def _extremes() -> Iterator[tuple[str, Pairs]]:
    for name, pairs in EXTREMES.items():
        for progress in (0.0, 0.5, 1.0):
            yield name, replace(pairs.rows(np.arange(PAIRS) % len(pairs.chosen)), progress=progress)


def _expect_finite(label: str, where: str, gradients: Gradients, pairs: Pairs) -> None:
    for quantity, values in gradients.by_pair.items():
        wild = np.flatnonzero(~np.isfinite(values))
        if wild.size:
            at = wild[0]
            numbers = ", ".join(f"{name} {array[at]:g}" for name, array in pairs.arrays.items())
            pair = f"for the pair of log π: {numbers} (progress {pairs.progress:g})"
            raise AssertionError(f"{quantity} of {label} is {values[at]} in {where} {pair}: {STABLE}")
    for name, slope in gradients.params.items():
        finite = np.isfinite(slope).all()
        expect(finite, f"the gradient of {label} in its field {name!r} is not finite in {where}: {STABLE}")


def _check_jax(variant: Subject[Objective]) -> JaxLoss:
    label, objective, pairs = variant.label, variant.component, random_pairs(0, PAIRS)
    with no_exception(f"{label} on arrays of jax", "compute with batch.xp only"):
        for dtype in ("float32", "float64"):
            shape, found = jax_loss_type(objective, pairs, dtype)
            _expect_type(label, "jax", len(pairs.chosen), shape, found, dtype)
    compiled, params = JaxLoss(objective), objective.params
    with no_exception(f"{label} under jax.jit, vmap and grad, its numbers being tracers,", TRACED):
        for name, extreme in _extremes():
            _expect_finite(
                label, f"jax, {name}", compiled([params] * MEMBERS, extreme, "float32")[0], extreme
            )
        members = [params, *_ends(objective)]
        for member, found_there in zip(members, compiled(members, pairs, "float32"), strict=True):
            there = f"{label} at {_words(member)} as tracers of jax"
            expected = objective.model_copy(update=member).loss(pairs.batch(np, "float32"))
            _expect_close(there, found_there.loss, expected, "numpy", _tolerance(objective, 1e-5))
            _expect_finite(label, f"jax at {_words(member)}", found_there, pairs)
    count = compiled.compilations
    expect(count == 1, f"{label} was compiled {count} times by jax for one shape of batch: {TRACED}")
    return compiled


def _check_torch(variant: Subject[Objective]) -> None:
    label, objective = variant.label, variant.component
    torch, pairs = torch_namespace(), random_pairs(0, PAIRS)
    with no_exception(f"{label} on tensors of torch", "compute with batch.xp only"):
        for dtype in ("float32", "float64"):
            _expect_one_loss_per_pair(label, objective, pairs, torch, dtype)
        batch = pairs.batch(torch, "float32", progress=torch.tensor(pairs.progress, dtype=torch.float32))
        expected = objective.loss(pairs.batch(np, "float32"))
        there = f"{label} at a progress that is a tensor of torch"
        _expect_close(there, objective.loss(batch).numpy(), expected, "numpy", _tolerance(objective, 1e-5))
    with no_exception(f"{label} under the autograd of torch, its numbers being tensors,", TRACED):
        for name, extreme in _extremes():
            _expect_finite(label, f"torch, {name}", torch_gradients(objective, extreme, "float32"), extreme)
        slopes = torch_slopes(objective, pairs)
    if _numbers_matter(objective):
        expect(
            slopes, f"no number of {label} has a gradient in torch: read them as they are, without float()"
        )
    for name, slope in slopes.items():
        expect(
            np.isfinite(slope), f"the gradient of {label} in its field {name!r} is {slope} in torch: {STABLE}"
        )


def _check_agreement(variant: Subject[Objective], in_jax: JaxLoss) -> None:
    """Jax against torch, in single precision; near a kink of a network that decides how steep it is: in double."""
    label, objective, pairs = variant.label, variant.component, random_pairs(0, PAIRS)
    dtype = "float64" if _has_networks(objective) else "float32"
    ours = in_jax([objective.params] * MEMBERS, pairs, dtype)[0]
    theirs = torch_gradients(objective, pairs, dtype)
    for quantity, values in ours.by_pair.items():
        there = f"{quantity} of {label} in jax ({dtype})"
        _expect_close(there, values, theirs.by_pair[quantity], "torch", _tolerance(objective, 2e-5))


def _has_networks(objective: Objective) -> bool:
    return any(isinstance(value, Tensors) for _, value in objective)


def _tolerance(objective: Objective, relative: float) -> float:
    """Networks add up powers and exponentials that may nearly cancel."""
    return 1e-3 if _has_networks(objective) else relative


def _expect_close(
    label: str, values: NDArray[Any], expected: NDArray[Any], other: str, tolerance: float
) -> None:
    """Up to a share of each number, and of the largest one: sums of large numbers may nearly cancel."""
    largest = float(np.abs(expected).max(initial=1e-3))
    scale = 0.1 if tolerance == 1e-3 else 1.0
    close = np.isclose(values, expected, rtol=tolerance, atol=scale * tolerance * largest)
    if not close.all():
        at = int(np.flatnonzero(~close)[0])
        advice = "compute with batch.xp only, in forms that lose no digits (log1p, expm1, logaddexp)"
        raise AssertionError(
            f"{label} is {values[at]:.9g} for one pair where {other} has {expected[at]:.9g}: {advice}"
        )


def _words(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in params.items() if isinstance(value, float))
