"""Preference datasets of the hub or of local files, as pairs of answers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mpobench import RequestError
from mpobench_llm.envs.conversations import COLUMNS, UnusableError, as_pair
from mpobench_llm.envs.data_files import open_dataset
from mpobench_llm.models.preference_pair import PreferencePair
from mpobench_llm.row_counts import Reason, RowCounts

Split: TypeAlias = Literal["train", "test"]

HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 256
"""Share of the rows that are held out of a dataset without a test split, and their largest number."""

_SPLITS: dict[Split, tuple[str, ...]] = {"train": ("train", "train_prefs"), "test": ("test", "test_prefs")}
"""Names of the splits. The second is that of HuggingFaceH4's datasets, which have other tasks' splits too."""


@dataclass(frozen=True)
class LoadedRows:
    """A split of a preference dataset.

    Attributes:
        outcomes: For each row in the dataset's order, its pair, or the reason why it is none. Rows of the other split,
            where it is held out of this one, are left out.
    """

    outcomes: Sequence[PreferencePair | Reason]

    @property
    def pairs(self) -> list[PreferencePair]:
        """Usable rows in the dataset's order."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, PreferencePair)]

    @property
    def dropped(self) -> dict[Reason, int]:
        """Number of rows that are not usable, by reason."""
        return dict(Counter(outcome for outcome in self.outcomes if not isinstance(outcome, PreferencePair)))

    def first(self, pairs: int | None) -> LoadedRows:
        """The first so many pairs, with the unusable rows among them; None is all."""
        if pairs is None:
            return self
        numbers = [row for row, outcome in enumerate(self.outcomes) if isinstance(outcome, PreferencePair)]
        return LoadedRows(self.outcomes[: numbers[pairs - 1] + 1]) if pairs <= len(numbers) else self


def load_rows(dataset: str, split: Split, *, revision: str | None = None) -> LoadedRows:
    """Loads one split of a preference dataset.

    A row has ``chosen`` and ``rejected``, as text or as messages. The prompt is all before their last message
    (``chosen[:-1]``, as in the alignment-handbook), or the column ``prompt`` (text or messages) if they hold the answer
    alone. A column ``system`` becomes the first message. Other columns are ignored.

    Without a test split, 5 % of the training rows, at most 256, are held out as one. Which ones depends on the hashes
    of the prompts, not on the order of rows, and rows of the same prompt stay together.

    Args:
        dataset: Name on the hub, or path of a .json, .jsonl or .parquet file, of a folder of such files, or of a folder
            that ``save_to_disk`` wrote. An existing path wins over a name, and is taken literally.
        split: Split, ``train`` or ``test``.
        revision: Branch, tag or commit on the hub.

    Raises:
        RequestError: If it cannot be reached or read, lacks a column or the split, or has no usable row.
    """
    splits = open_dataset(dataset, revision)
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
            f"{dataset} has no usable pair in its split {source}: {RowCounts(0, loaded.dropped)}; "
            "chosen and rejected are text, or lists of messages with role and content"
        )
    if "test" in ours:
        return loaded
    test = _held_out(loaded)
    mine = LoadedRows(
        [
            outcome
            for row, outcome in enumerate(loaded.outcomes)
            if not isinstance(outcome, PreferencePair) or (row in test) == held_out
        ]
    )
    if not mine.pairs:
        raise RequestError(
            f"{dataset} has too few prompts to hold some out; give it a test split or more rows"
        )
    return mine


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


def _convert(rows: Any) -> LoadedRows:
    columns = [name for name in COLUMNS if name in rows.column_names]
    outcomes: list[PreferencePair | Reason] = []
    for row in rows.select_columns(columns).with_format(None):
        try:
            outcomes.append(as_pair(row))
        except UnusableError as unusable:
            outcomes.append(unusable.reason)
    return LoadedRows(outcomes)


def _held_out(loaded: LoadedRows) -> set[int]:
    """The held-out rows: those whose prompts have the lowest hashes, as many as fit."""
    by_prompt: dict[str, list[int]] = {}
    for row, pair in enumerate(loaded.outcomes):
        if isinstance(pair, PreferencePair):
            text = json.dumps([[message["role"], message["content"]] for message in pair.prompt])
            by_prompt.setdefault(hashlib.sha256(text.encode()).hexdigest(), []).append(row)
    count = sum(map(len, by_prompt.values()))
    room = min(max(int(HELD_OUT_SHARE * count), 1), HELD_OUT_MOST, count - 1)
    held_out: set[int] = set()
    for _, rows in sorted(by_prompt.items()):
        if len(held_out) + len(rows) <= room:
            held_out.update(rows)
    return held_out
