"""Verdicts on disk, each kept as it arrives: no question is paid for twice.

One file per judge (model, template, way of reading, sampling), whatever its address: a model that moves to another
port, or is reached through a proxy, gives the same verdicts. Endpoints that call different models by one name would
share them; start such servers with names that tell the models apart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpobench.files.atomic import explained
from mpobench.files.keys import content_key
from mpobench.files.locks import lock
from mpobench.files.text import json_lines
from mpobench_llm.judge.settings import JudgeSettings


class VerdictStore:
    """The verdicts of one judge.

    Args:
        cache: Folder that runs share.
        settings: Options of the judge.
        template: Template of the prompt.
    """

    def __init__(self, cache: Path, settings: JudgeSettings, template: str) -> None:
        sampling = settings.model_dump(include={"model", "verdict", "temperature", "max_tokens"})
        self.path = cache / "verdicts" / f"{content_key({'template': template, **sampling})}.jsonl"

    @contextmanager
    def held(self, keys: Collection[str]) -> Iterator[None]:
        """Makes other evaluations with the same questions wait, until this one has kept the verdicts.

        Args:
            keys: Keys of all questions of an evaluation. Evaluations that share only some questions do not wait for
                each other, and may ask the same one twice.
        """
        with lock(self.path.with_name(content_key(sorted(keys)))):
            yield

    def read(self, keys: Collection[str]) -> dict[str, float | None]:
        """The kept verdicts on some questions; None for one that could not be decided.

        Lines that a killed process or a full disk has cut short do not count.
        """
        wanted, verdicts = set(keys), dict[str, float | None]()
        try:
            lines = json_lines(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        for line in lines:
            try:
                record = json.loads(line)
                key, preference = record["key"], record["preference"]
            except (ValueError, KeyError, TypeError):
                continue
            if key in wanted and (
                preference is None or (isinstance(preference, float) and 0 <= preference <= 1)
            ):
                verdicts[key] = preference
        return verdicts

    def add(self, key: str, preference: float | None) -> None:
        """Keeps a verdict. It is on disk when this returns.

        Any number of processes may append: a line is one write, and begins with its newline, so that it stands alone
        even after one that was cut short.

        Raises:
            RequestError: If it cannot be written.
        """
        line = json.dumps({"key": key, "preference": preference})
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, f"\n{line}".encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
