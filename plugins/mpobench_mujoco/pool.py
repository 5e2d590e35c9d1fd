"""The rollout pool: every agent is rolled out once, and every corruption picks from it.

A trajectory depends on environment, agent, start state and draw, never on the corruption. Blocks of trajectories
are content-keyed folders of ``.npy`` files that any number of processes map into memory.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from mpobench.files.atomic import folder_atomically
from mpobench_mujoco.rollouts import Rollouts


def write_block(folder: Path, rollouts: Rollouts) -> None:
    """Writes a block; it appears whole, or not at all."""
    with folder_atomically(folder) as temporary:
        for field in fields(Rollouts):
            np.save(temporary / f"{field.name}.npy", getattr(rollouts, field.name), allow_pickle=False)


def read_block(folder: Path) -> Rollouts:
    """Maps a block into memory, read-only."""
    return Rollouts(
        *(
            np.load(folder / f"{field.name}.npy", mmap_mode="r", allow_pickle=False)
            for field in fields(Rollouts)
        )
    )
