"""The check of environments that train groups."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpobench.protocols import Env, GroupTraining, Objective, TrainingRequest, Workspace
from mpobench.testing.expect import expect
from mpobench.testing.samples import Cloning, Contrast, Diverging
from mpobench.testing.trainings import prepare, training_request

TOLERANCE = 5e-3
"""Share of a curve's largest number by which training in a group may differ: the order of sums does."""


def check_groups(label: str, env: Env, workspace: Workspace, overrides: Mapping[str, Any]) -> None:
    """A group trains each member as alone; one that diverges is None; prerequisites of a group are made."""
    if not isinstance(env, GroupTraining):
        return
    size = env.group_size()
    sound = isinstance(size, int) and size >= 1
    expect(sound, f"group_size() of {label} is {size!r}: return a number of trainings, at least 1")

    def request(objective: Objective, seed: int) -> TrainingRequest:
        return training_request(env, objective, seed, overrides=overrides)

    members = [request(Cloning(), 0), request(Diverging(), 0), request(Cloning(), 1)]
    keys = [env.group_key(member) for member in members]
    expect(all(isinstance(key, str) for key in keys), f"group_key() of {label} is {keys[0]!r}: return a text")
    members = [member for member, key in zip(members, keys, strict=True) if key and key == keys[0]]
    if len(members) > 1:
        _check_training(label, env, members, workspace)
    _check_preparing(label, env, [request(Contrast(), seed) for seed in (0, 1)], workspace)


def _check_training(
    label: str, env: GroupTraining, members: list[TrainingRequest], workspace: Workspace
) -> None:
    assert isinstance(env, Env)
    for member in members:
        prepare(env, member, workspace)
    group = env.train_group(members, workspace)
    expect(len(group) == len(members), f"{label} trained {len(group)} policies in a group of {len(members)}: "
           "return one for each request, or None")  # fmt: skip
    for member, trained in zip(members, group, strict=True):
        if isinstance(member.objective, Diverging):
            expect(
                trained is None,
                f"{label} trained a member of a group on a loss that is not finite: return None",
            )
            continue
        if trained is None:
            raise AssertionError(
                f"{label} gave up a member beside one that diverged: let only that one be None"
            )
        alone = env.train(member, workspace).curves["loss"]
        close = np.allclose(trained.curves["loss"], alone, rtol=0, atol=TOLERANCE * np.abs(alone).max())
        expect(close, f"the loss of {label} in a group is {trained.curves['loss'][-1]:g} at the end and "
               f"{alone[-1]:g} alone: let no member see another")  # fmt: skip


def _check_preparing(
    label: str, env: GroupTraining, requests: list[TrainingRequest], workspace: Workspace
) -> None:
    """Prerequisites with one group key are made by one call."""
    assert isinstance(env, Env)
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for request in requests:
        prepare(env, request, workspace)
        for each in env.prerequisites(request):
            if each.group_key:
                groups.setdefault((each.phase, each.group_key), {})[each.path] = each.payload
    for payloads in groups.values():
        for path in payloads:
            made = workspace.cache / path
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        env.prepare_group(list(payloads.values()), workspace)
        missing = [path for path in payloads if not (workspace.cache / path).exists()]
        expect(
            not missing, f"prepare_group() of {label} did not make {missing}: make the file of every payload"
        )
