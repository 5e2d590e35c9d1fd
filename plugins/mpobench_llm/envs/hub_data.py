"""Preference datasets of the hub or of local files, as pairs of answers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mpobench import RequestError
from mpobench.files.text import expanded
from mpobench_llm.models.loading_errors import explained
from mpobench_llm.models.preference_pair import Message, PreferencePair

Split: TypeAlias = Literal["train", "test"]

Reason: TypeAlias = Literal[
    "equal answers", "empty answer", "prompts differ", "no prompt", "malformed messages"
]
"""The reason why a row is dropped.

``malformed messages``: another role than system, user or assistant, a message without text, or a conversation that does
not end with the assistant. ``no prompt``: no user's message right before the answer."""

HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 256
"""Share of the rows that are held out of a dataset without a test split, and their largest number."""

_FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}
_SPLITS: dict[Split, tuple[str, ...]] = {"train": ("train", "train_prefs"), "test": ("test", "test_prefs")}
"""Names of the splits. The second is that of HuggingFaceH4's datasets, which have other tasks' splits too."""


@dataclass(frozen=True)
class LoadedRows:
    """A split of a preference dataset.

    Attributes:
        pairs: Usable rows in the dataset's order.
        dropped: Number of rows that were not usable, by reason, in the split that was read, before any are held out.
    """

    pairs: list[PreferencePair]
    dropped: dict[Reason, int]


def load_rows(dataset: str, split: Split, *, revision: str | None = None) -> LoadedRows:
    """Loads one split of a preference dataset.

    A row has ``chosen`` and ``rejected``, as text or as messages. The prompt is all before their last message
    (``chosen[:-1]``, as in the alignment-handbook), or the column ``prompt`` (text or messages) if they hold the answer
    alone. A column ``system`` becomes the first message. Other columns are ignored.

    Without a test split, 5 % of the training rows, at most 256, are held out as one. Which ones depends on the hashes
    of the prompts, not on the order of rows, and rows of the same prompt stay together.

    Args:
        dataset: Name on the hub, or path of a .json, .jsonl or .parquet file, of a folder of such files, or of a folder
            that ``save_to_disk`` wrote. An existing path wins over a name.
        split: Split, ``train`` or ``test``.
        revision: Branch, tag or commit on the hub.

    Raises:
        RequestError: If it cannot be reached or read, lacks a column or the split, or has no usable row.
    """
    with explained(dataset, "dataset"), _quietly():
        splits = _open(dataset, revision)
    ours = {ours: theirs for ours, names in _SPLITS.items() for theirs in names[::-1] if theirs in splits}
    if (held_out := split == "test" and "test" not in ours) or split == "train":
        source = ours.get("train")
    else:
        source = ours["test"]
    if source is None:
        raise RequestError(f"{dataset} has no split named train; it has {', '.join(splits)}")
    _check_columns(dataset, splits[source])
    loaded = _convert(splits[source])
    if not loaded.pairs:
        raise RequestError(
            f"{dataset} has no usable pair in its split {source}: {_counts(loaded.dropped) or 'it is empty'}; "
            "chosen and rejected are text, or lists of messages with role and content"
        )
    if "test" in ours:
        return loaded
    kept = _held_out(loaded.pairs)
    pairs = [pair for row, pair in enumerate(loaded.pairs) if (row in kept) == held_out]
    if not pairs:
        raise RequestError(
            f"{dataset} has too few prompts to hold some out; give it a test split or more rows"
        )
    return LoadedRows(pairs, loaded.dropped)


@contextmanager
def _quietly() -> Iterator[None]:
    """Turns off datasets' progress bars, its log of errors that it raises too, and its count of loads.

    It counts loads at s3.amazonaws.com, even those of local files, and without a network it waits for an answer.
    """
    import datasets

    shown, verbosity = not datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    counts = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        yield
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counts
        datasets.logging.set_verbosity(verbosity)
        if shown:
            datasets.enable_progress_bars()


def _open(dataset: str, revision: str | None) -> Mapping[str, Any]:
    """The dataset's splits by name."""
    import datasets

    path = expanded(dataset)
    kind = _FORMATS.get(path.suffix)
    if not path.exists() and (kind or dataset.startswith((".", "/", "~")) or dataset.count("/") > 1):
        raise RequestError(f"there is no file or folder {dataset}; check the path")
    if path.is_file():
        if kind is None:
            raise RequestError(f"cannot read {dataset}: a dataset's file is {', '.join(_FORMATS)}")
        return {"train": datasets.load_dataset(kind, data_files=str(path), split="train")}
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        saved = datasets.load_from_disk(str(path))
        return saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}
    loaded: Mapping[str, Any] = datasets.load_dataset(
        str(path) if path.is_dir() else dataset, revision=revision
    )
    return loaded


def _check_columns(dataset: str, rows: Any) -> None:
    from datasets import Value

    names = rows.column_names
    text = [side for side in ("chosen", "rejected") if isinstance(rows.features.get(side), Value)]
    expected = ["prompt", "chosen", "rejected"] if text else ["chosen", "rejected"]
    if missing := [name for name in expected if name not in names]:
        raise RequestError(
            f"{dataset} has no column {' and '.join(missing)}: found {', '.join(names)}; expected chosen and rejected "
            "(messages), or prompt, chosen and rejected (text or messages); rename its columns"
        )


class _UnusableError(Exception):
    """A row that cannot be a pair."""

    def __init__(self, reason: Reason):
        super().__init__(reason)
        self.reason: Reason = reason


def _convert(rows: Any) -> LoadedRows:
    columns = [name for name in ("system", "prompt", "chosen", "rejected") if name in rows.column_names]
    pairs: list[PreferencePair] = []
    dropped: Counter[Reason] = Counter()
    for row in rows.select_columns(columns).with_format(None):
        try:
            pairs.append(_pair(row))
        except _UnusableError as unusable:
            dropped[unusable.reason] += 1
    return LoadedRows(pairs, dict(dropped))


def _pair(row: Mapping[str, Any]) -> PreferencePair:
    chosen, rejected = _conversation(row, "chosen"), _conversation(row, "rejected")
    if chosen[:-1] != rejected[:-1]:
        raise _UnusableError("prompts differ")
    if chosen[-1]["content"].strip() == rejected[-1]["content"].strip():
        raise _UnusableError("equal answers")
    return PreferencePair(tuple(chosen[:-1]), chosen[-1]["content"], rejected[-1]["content"])


def _conversation(row: Mapping[str, Any], side: str) -> list[Message]:
    """The whole conversation, from the system's message to one of the two answers."""
    messages = _messages(row[side], "assistant")
    prompt = _messages(row.get("prompt"), "user")
    if not messages:
        raise _UnusableError("empty answer")
    if messages[0]["role"] == "assistant":  # the prompt is not in it
        messages = prompt + messages
    if (
        messages[0]["role"] != "system"
    ):  # where an answer's messages hold the prompt, they may lack its system message
        system = _messages(row.get("system"), "system")
        messages = (system or [message for message in prompt[:1] if message["role"] == "system"]) + messages
    if messages[-1]["role"] != "assistant":
        raise _UnusableError("malformed messages")
    if not messages[-1]["content"].strip():
        raise _UnusableError("empty answer")
    if len(messages) < 2 or messages[-2]["role"] != "user":
        raise _UnusableError("no prompt")
    return messages


def _messages(value: Any, role: str) -> list[Message]:
    """The messages of a cell. Text is one message of that role; no text or blank text is no message."""
    if value is None or isinstance(value, str):
        return [{"role": role, "content": value}] if value and value.strip() else []
    try:
        messages: list[Message] = [{"role": cell["role"], "content": cell["content"]} for cell in value]
    except (TypeError, KeyError):
        raise _UnusableError("malformed messages") from None
    for message in messages:
        if message["role"] not in ("system", "user", "assistant") or not isinstance(message["content"], str):
            raise _UnusableError("malformed messages")
    return messages


def _counts(dropped: Mapping[Reason, int]) -> str:
    return ", ".join(f"{count} × {reason}" for reason, count in dropped.items())


def _held_out(pairs: Sequence[PreferencePair]) -> set[int]:
    """The held-out rows: those whose prompts have the lowest hashes, as many as fit."""
    by_prompt: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        text = json.dumps([[message["role"], message["content"]] for message in pair.prompt])
        by_prompt.setdefault(hashlib.sha256(text.encode()).hexdigest(), []).append(row)
    room = min(max(int(HELD_OUT_SHARE * len(pairs)), 1), HELD_OUT_MOST, len(pairs) - 1)
    held_out: set[int] = set()
    for _, rows in sorted(by_prompt.items()):
        if len(held_out) + len(rows) <= room:
            held_out.update(rows)
    return held_out
