"""The configurations of the next batch: optuna's tree-structured Parzen estimator on all trials so far.

A proposal is a function of the finished trials and a seed. So it does not matter where they ran, in which order they
ended, or whether the tuning was interrupted.

References:
    Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization.
    Falkner et al. (2018), BOHB: multivariate estimators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpobench.protocols import SearchChoices
from mpobench.tuning.space import Dimension, Point, Space
from mpobench.tuning.trial import BATCH, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def propose(space: Space, trials: Sequence[Trial], seeds: int, seed: int) -> list[Point]:
    """The next batch. The first one begins with the defaults, and is otherwise drawn at random.

    Args:
        space: Space.
        trials: Finished trials, whole batches.
        seeds: Number of tuning seeds of a trial that passes all rungs.
        seed: Seed of this batch.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(n_startup_trials=BATCH, multivariate=True, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([as_optuna(space, trial, seeds) for trial in trials])
    ranges = distributions(space)
    first = [] if trials else [space.default]
    drawn = [study.ask(ranges).params for _ in range(BATCH - len(first))]
    return [
        *first,
        *({each.key: each.within(params[each.key]) for each in space.dimensions} for params in drawn),
    ]


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The dimensions of a space in optuna's terms."""
    return {dimension.key: _distribution(dimension) for dimension in space.dimensions}


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    search = dimension.search
    if isinstance(search, SearchChoices):
        return CategoricalDistribution(search.choices)
    if dimension.integer:
        return IntDistribution(math.ceil(search.low), math.floor(search.high), log=search.log)
    return FloatDistribution(search.low, search.high, log=search.log)


def as_optuna(space: Space, trial: Trial, seeds: int) -> FrozenTrial:
    """A trial in optuna's terms: complete if it got all seeds, else pruned at as many as it got, at 0 if it diverged.

    Defaults outside of their ranges lie on the edge for the estimator; the attribute ``point`` has them as they are.
    """
    from optuna.trial import TrialState, create_trial

    whole = len(trial.scores) == seeds and not trial.diverged
    step, value = (0, math.nan) if trial.diverged else (len(trial.scores), trial.mean)
    return create_trial(
        state=TrialState.COMPLETE if whole else TrialState.PRUNED,
        value=trial.mean if whole else None,
        params={each.key: each.within(trial.point[each.key]) for each in space.dimensions},
        distributions=distributions(space),
        intermediate_values={step: value},
        user_attrs={"point": dict(trial.point), "scores": list(trial.scores)},
    )
