"""Files in the folder of a trained policy: the environment's own, and the record of the training."""

from __future__ import annotations

from pathlib import Path


def record_file(policy_folder: Path) -> Path:
    """The record of a training, beside its policy: curves and seconds. A folder without one is no whole policy.

    Args:
        policy_folder: Folder of the policy (:meth:`~mpobench.results.store.ResultStore.policy_folder`).
    """
    return policy_folder / "training.json"


def policy_files(policy_folder: Path) -> list[Path]:
    """The sorted files of a policy: all in its folder but the record.

    Args:
        policy_folder: Folder of the policy.
    """
    record = record_file(policy_folder)
    return sorted(path for path in policy_folder.rglob("*") if path.is_file() and path != record)
