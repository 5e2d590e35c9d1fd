"""Content keys of a cell, chained: dataset → training → cell. Plans make them, and records can be checked by them."""

from __future__ import annotations

from typing import Any

from mpobench.files.keys import KEY_VERSION, content_key
from mpobench.protocols import JsonObject


def env_key(identity: Any, config: JsonObject) -> str:
    """Key of an environment and of all that its datasets share at a scale."""
    return content_key({"identity": identity, "config": config})


def corruption_key(env: str, identity: Any) -> str:
    """Key of a corruption on an environment: of its datasets, but for the seed."""
    return content_key({"version": KEY_VERSION, "env": env, "corruption": identity})


def dataset_key(corruption: str, seed: int) -> str:
    """Key of a dataset."""
    return content_key([corruption, seed])


def recipe_key(identity: Any, config: JsonObject | None) -> str:
    """Key of an objective and its training configuration."""
    return content_key({"objective": identity, "config": config})


def training_key(dataset: str, recipe: str, seed: int) -> str:
    """Key of a trained policy."""
    return content_key([dataset, recipe, seed])


def evaluator_key(identity: Any, config: JsonObject | None) -> str:
    """Key of an evaluator on an environment at a scale."""
    return content_key({"identity": identity, "config": config})


def cell_key(training: str, evaluator: str) -> str:
    """Key of a cell: the name of its result's file."""
    return content_key([training, evaluator])
