"""Requests for a dataset and a training, and the result of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mpobench.protocols.component import Scale
from mpobench.protocols.corruption import DatasetCorruption
from mpobench.protocols.objective import Objective


@dataclass(frozen=True)
class DatasetRequest:
    """A preference dataset to build.

    Attributes:
        corruption: Corruption of the pairs.
        seed: Seed of sources, labels and flips.
        scale: Amount of data.
        key: Content key. Files derived from the dataset may be cached under it.
    """

    corruption: DatasetCorruption
    seed: int
    scale: Scale
    key: str


@dataclass(frozen=True)
class TrainingRequest:
    """A policy to train: a dataset, an objective and a configuration.

    Attributes:
        dataset: Training data.
        objective_name: Name on the card of the objective's class, under which environments keep their defaults.
        objective: Loss.
        seed: Seed of the minibatch order and, where it applies, of the initial weights.
        overrides: Fields of the environment's training configuration: tuned ones, and above them those that the user
            set.
        key: Content key. Files derived from the training may be cached under it. Empty while it is planned.
    """

    dataset: DatasetRequest
    objective_name: str
    objective: Objective
    seed: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Attributes:
        policy: An object that the environment's ``save_policy`` and the evaluators understand.
        curves: One list per quantity, one entry per epoch: ``loss``, ``margin``, ``accuracy``, ``logp_chosen``,
            ``logp_rejected``, and ``stage`` (``sft`` or ``po``). Over-optimization shows in ``log_ratio_chosen`` and
            ``log_ratio_rejected`` (log π/π_ref a step or token, in nats), ``chosen_fell`` (the share of pairs whose
            chosen side is less probable than under the reference policy) and ``kl`` (on what the policy does itself, a
            step or token, in nats). What an environment does not measure is absent, or NaN.
        seconds: Wall time per part of the work.
        dataset: Measured properties of the dataset, by name with unit (``wrong labels, %``): what a reader of the score
            must know about the data. Pages show their means over the seeds.
    """

    policy: Any
    curves: dict[str, list[Any]]
    seconds: dict[str, float] = field(default_factory=dict)
    dataset: dict[str, float] = field(default_factory=dict)
