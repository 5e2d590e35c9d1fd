"""What a loss costs that is written once: compiling it for jax, and calling it in torch's eager mode."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mpobench import PreferenceBatch, SequenceLogps, objective
from mpobench.registry.registry import get_registry

PAIRS, ROUNDS = 1024, 2000
NAMES = [registered.card.name for registered in get_registry().cards("objective")]
Tensors = tuple[torch.Tensor, ...]


def log_probabilities(seed: int = 0) -> list[np.ndarray]:
    """Totals of both sides under policy and reference, then both lengths, all ``(PAIRS,)`` in float32."""
    rng = np.random.default_rng(seed)
    length = rng.integers(1, 200, (2, PAIRS))
    total = -rng.uniform(0.01, 2, (2, PAIRS)) * length
    return [*np.float32(total), *np.float32(total + rng.normal(size=(2, PAIRS))), *np.float32(length)]


def batch_of(arrays: Any) -> PreferenceBatch:
    """A batch from arrays in the order of :func:`log_probabilities`."""
    chosen, rejected, reference_chosen, reference_rejected, chosen_length, rejected_length = arrays
    return PreferenceBatch(
        SequenceLogps(chosen, chosen_length),
        SequenceLogps(rejected, rejected_length),
        SequenceLogps(reference_chosen, chosen_length),
        SequenceLogps(reference_rejected, rejected_length),
        progress=0.5,
    )


@pytest.mark.benchmark
@pytest.mark.parametrize("name", NAMES)
def test_a_loss_and_its_gradient_compile_in_less_than_a_second(benchmark: Any, name: str) -> None:
    import jax

    loss = objective(name).loss
    arrays = [jax.numpy.asarray(array) for array in log_probabilities()]
    jax.jit(lambda x: -x).lower(arrays[0]).compile()  # wakes the compiler up

    def compile_it() -> None:
        def total(arrays: Any) -> jax.Array:
            return loss(batch_of(arrays)).sum()

        jax.jit(jax.value_and_grad(total)).lower(arrays).compile()

    benchmark.pedantic(compile_it, rounds=3)
    assert benchmark.stats["median"] < 1


def dpo(chosen: Any, rejected: Any, reference_chosen: Any, reference_rejected: Any, *_: Any) -> torch.Tensor:
    return -F.logsigmoid(0.1 * ((chosen - reference_chosen) - (rejected - reference_rejected)))


def ipo(
    chosen: Any, rejected: Any, reference_chosen: Any, reference_rejected: Any, n_w: Any, n_l: Any
) -> Any:
    return ((chosen / n_w - reference_chosen / n_w) - (rejected / n_l - reference_rejected / n_l) - 5) ** 2


def simpo(chosen: Any, rejected: Any, _1: Any, _2: Any, n_w: Any, n_l: Any) -> torch.Tensor:
    return -F.logsigmoid(2.0 * (chosen / n_w - rejected / n_l) - 1.0)


def cpo(chosen: Any, rejected: Any, *_: Any) -> torch.Tensor:
    return -chosen - F.logsigmoid(0.1 * (chosen - rejected))


def seconds_by_turns(work: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median time of each, one call of each in turn, so that a busy moment meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(ROUNDS):
        for name in sorted(work, reverse=bool(turn % 2)):
            begin = time.perf_counter()
            work[name]()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


@pytest.mark.benchmark
@pytest.mark.parametrize("by_hand", [dpo, ipo, simpo, cpo])
def test_a_loss_in_torch_costs_little_more_than_one_written_by_hand(
    benchmark: Any, by_hand: Callable[..., torch.Tensor]
) -> None:
    """Value and gradient of the mean loss; the batch, in which any objective gets its arrays, is there before."""
    torch.set_num_threads(1)
    ours = objective(by_hand.__name__)
    arrays = [torch.tensor(array) for array in log_probabilities()]
    sides: Tensors = tuple(arrays[:2])
    for side in sides:
        side.requires_grad_()
    batch = batch_of(arrays)

    def differentiated(loss: torch.Tensor) -> tuple[torch.Tensor, Tensors]:
        return loss, torch.autograd.grad(loss.mean(), sides)

    work = {
        "ours": lambda: differentiated(ours.loss(batch)),
        "by hand": lambda: differentiated(by_hand(*arrays)),
        "ours, and the batch": lambda: differentiated(ours.loss(batch_of(arrays))),
    }
    for mine, theirs in zip(work["ours"]()[1], work["by hand"]()[1], strict=True):
        torch.testing.assert_close(mine, theirs)
    median = benchmark.pedantic(seconds_by_turns, args=(work,), rounds=1, warmup_rounds=1)
    benchmark.extra_info.update(median)
    for name, each in median.items():
        print(
            f"{by_hand.__name__:6} {name:20} {each * 1e6:5.0f} µs, {each / median['by hand']:4.2f} of by hand"
        )
    assert median["ours"] < 1.1 * median["by hand"]
