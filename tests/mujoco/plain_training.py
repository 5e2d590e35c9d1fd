"""The training of a policy written down a second time, in float64 torch and as plainly as possible.

One trajectory at a time, steps first, ``torch.distributions`` for the likelihood, Adam by its published formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mpobench import Objective, PreferenceBatch, SequenceLogps

Tensors = dict[str, torch.Tensor]


def log_likelihood(
    weights: Tensors, observations: torch.Tensor, actions: torch.Tensor, std: float
) -> torch.Tensor:
    """Log π(τ) of one trajectory, ``(steps, obs)`` and ``(steps, actions)``, at cells of width 1/e."""
    hidden = torch.tanh(observations @ weights["w1"].T + weights["b1"][:, 0])
    hidden = torch.tanh(hidden @ weights["w2"].T + weights["b2"][:, 0])
    mean = torch.tanh(hidden @ weights["w3"].T + weights["b3"][:, 0])
    density = torch.distributions.Normal(mean, std).log_prob(actions)
    return (density + math.log(1 / math.e)).sum()


@dataclass
class Learner:
    """Weights and Adam's moments (Kingma and Ba, 2015, Algorithm 1), stepped by :meth:`epoch`.

    Attributes:
        weights: of the policy, float64.
        std: of the action noise.
        max_grad_norm: of the global clip.
        first: Adam's first moments.
        second: its second moments.
        count: updates so far.
        curves: a list of per-epoch means for each quantity.
    """

    weights: Tensors
    std: float
    max_grad_norm: float
    first: Tensors = field(init=False)
    second: Tensors = field(init=False)
    count: int = 0
    curves: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Adam as at the start."""
        self.first = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.count = 0

    def logps(self, trajectories: Any, indices: Any) -> torch.Tensor:
        """Log π(τ) of some trajectories, each cut at its own length."""
        totals = []
        for index in indices:
            observations, actions, lengths = (np.asarray(array[index]) for array in trajectories)
            alive = int(lengths)
            totals.append(
                log_likelihood(
                    self.weights,
                    torch.tensor(observations[:, :alive].T, dtype=torch.float64),
                    torch.tensor(actions[:, :alive].T, dtype=torch.float64),
                    self.std,
                )
            )
        return torch.stack(totals)

    def epoch(
        self,
        objective: Objective,
        trajectories: Any,
        chosen: np.ndarray,
        rejected: np.ndarray,
        reference: torch.Tensor,
        order: np.ndarray,
        progress: np.ndarray,
        learning_rates: np.ndarray,
    ) -> None:
        """One pass over the minibatches in ``order``."""
        seen: list[dict[str, float]] = []
        for rows, now, rate in zip(order, progress, learning_rates, strict=True):
            for value in self.weights.values():
                value.requires_grad_(True)
            sides = []
            for side in (chosen[rows], rejected[rows]):
                lengths = torch.tensor(np.asarray(trajectories[2])[side], dtype=torch.float64)
                sides.append(
                    (
                        SequenceLogps(self.logps(trajectories, side), lengths),
                        SequenceLogps(reference[torch.tensor(side, dtype=torch.long)], lengths),
                    )
                )
            (ours, reference_chosen), (theirs, reference_rejected) = sides
            references = (reference_chosen, reference_rejected) if objective.needs_reference else (None, None)
            loss = objective.loss(PreferenceBatch(ours, theirs, *references, float(now))).mean()
            gradient = dict(
                zip(self.weights, torch.autograd.grad(loss, list(self.weights.values())), strict=True)
            )
            ratios = [(own.mean - its.mean).detach() for own, its in sides]
            margin = (ours.mean - theirs.mean).detach()
            seen.append(
                {
                    "loss": loss.item(),
                    "margin": margin.mean().item(),
                    "accuracy": (margin > 0).double().mean().item(),
                    "logp_chosen": ours.mean.mean().item(),
                    "logp_rejected": theirs.mean.mean().item(),
                    "log_ratio_chosen": ratios[0].mean().item(),
                    "log_ratio_rejected": ratios[1].mean().item(),
                    "chosen_fell": (ratios[0] < 0).double().mean().item(),
                }
            )
            self._adam(gradient, float(rate))
        for name in seen[0]:
            self.curves.setdefault(name, []).append(float(np.mean([values[name] for values in seen])))

    def _adam(self, gradient: Tensors, learning_rate: float) -> None:
        norm = math.sqrt(sum((g**2).sum().item() for g in gradient.values()))
        scale = min(1.0, self.max_grad_norm / norm)
        self.count += 1
        for name, raw in gradient.items():
            g = raw * scale
            self.first[name] = 0.9 * self.first[name] + 0.1 * g
            self.second[name] = 0.999 * self.second[name] + 0.001 * g**2
            unbiased = self.first[name] / (1 - 0.9**self.count)
            spread = (self.second[name] / (1 - 0.999**self.count)).sqrt()
            self.weights[name] = self.weights[name].detach() - learning_rate * unbiased / (spread + 1e-8)
