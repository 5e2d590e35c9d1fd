"""The number of positions of a model, beyond which it was never trained, or has no embedding. Free of torch."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpobench import RequestError

_NAMES = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "max_sequence_length",
    "n_ctx",
    "seq_length",
)


def positions(config: Mapping[str, Any]) -> int | None:
    """The largest number of tokens of a model's input; None where its configuration has no limit.

    Args:
        config: The model's ``config.json``, as an object. Models of text and images keep the text's part apart.
    """
    parts = [config.get(name) for name in ("text_config", "llm_config", "decoder")]
    for part in (config, *(part for part in parts if isinstance(part, Mapping))):
        for name in _NAMES:
            value = part.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None


def positions_of_file(config: Path) -> int | None:
    """The largest number of tokens that a ``config.json`` states; None if it states none, or cannot be read."""
    try:
        content = json.loads(config.read_bytes())
    except (OSError, ValueError):
        return None
    return positions(content) if isinstance(content, dict) else None


@functools.lru_cache(maxsize=4)
def positions_of_model(location: str, revision: str | None = None) -> int | None:
    """The largest number of tokens of a model's input, by transformers' own configuration, defaults included.

    Args:
        location: Hub id, or a folder.
        revision: Commit on the hub.

    Raises:
        RequestError: If the configuration cannot be loaded.
    """
    from transformers import AutoConfig

    from mpobench_llm.models.loading_errors import explained

    with explained(location):
        config = AutoConfig.from_pretrained(location, revision=revision)
    return positions(config.to_dict())


def check_positions(model: str, limit: int | None, max_length: int) -> None:
    """Refuses a length that a model has no positions for.

    Raises:
        RequestError: If ``max_length`` is more than ``limit``.
    """
    if limit is not None and max_length > limit:
        raise RequestError(
            f"training.max_length = {max_length} is more than the {limit} positions of {model}: "
            f"add --training max_length={limit}"
        )
