"""The rollout pool: every agent is rolled out once, and every corruption picks from it.

A trajectory depends on environment, agent, start state and draw, never on the corruption; each seed has start states of
its own. Blocks of trajectories are content-keyed folders of ``.npy`` files that many processes map into memory.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpobench.files.atomic import folder_atomically
from mpobench_mujoco.rollouts import Rollouts


@dataclass(frozen=True)
class AgentRollouts(Rollouts):
    """Episodes of one agent, with what both agents think of them.

    Attributes:
        own_logps: ``(episodes,)`` float32, mean log π(a|s) of the steps under the agent itself, nats a step.
        other_logps: ``(episodes,)`` float32, the same under the other agent.
    """

    own_logps: NDArray[np.float32]
    other_logps: NDArray[np.float32]


def write_block(folder: Path, rollouts: AgentRollouts) -> None:
    """Writes a block; it appears whole, or not at all."""
    with folder_atomically(folder) as temporary:
        for field in fields(AgentRollouts):
            np.save(temporary / f"{field.name}.npy", getattr(rollouts, field.name), allow_pickle=False)


def read_block(folder: Path) -> AgentRollouts:
    """Maps a block into memory, read-only."""
    return AgentRollouts(
        *(
            np.load(folder / f"{field.name}.npy", mmap_mode="r", allow_pickle=False)
            for field in fields(AgentRollouts)
        )
    )
