"""The questions of an evaluation: those without a verdict on disk go to the endpoint, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mpobench import RequestError
from mpobench_llm.judge.endpoint import Endpoint
from mpobench_llm.judge.prompt import Question, fill
from mpobench_llm.judge.settings import JudgeSettings
from mpobench_llm.judge.verdict_store import VerdictStore

ASKS = 3
"""Number of attempts before a question counts as undecided."""


def verdicts(
    questions: Sequence[Question],
    settings: JudgeSettings,
    template: str,
    cache: Path,
    report: Callable[[float], None],
) -> dict[str, float | None]:
    """The verdict on every question.

    Args:
        questions: Questions; equal ones are asked once.
        settings: Options of the judge.
        template: Template of the prompt.
        cache: Folder that runs share.
        report: Function of the fraction that is done.

    Returns:
        By the question's key, the probability that the first answer is the better one; None if no reply could be read.

    Raises:
        RequestError: If the endpoint fails for good, or no verdict at all can be read.
    """
    unique = {question.key: question for question in questions}
    store = VerdictStore(cache, settings, template)
    with store.held(unique):
        known = store.read(unique)
        missing = {key: question for key, question in unique.items() if key not in known}
        report(len(known) / len(unique) if unique else 1.0)
        example = ""
        if missing:
            asking = _Asking(
                settings, template, store, lambda done: report((len(known) + done) / len(unique))
            )
            known |= asyncio.run(asking.all(missing))
            example = asking.unreadable
    if unique and all(verdict is None for verdict in known.values()):
        quoted = f", which says for example {example!r}" if example else ""
        raise RequestError(
            f"none of {len(unique)} verdicts of judge {settings.model} at {settings.url} can be read{quoted}: choose "
            "another model, a template that it understands, or more max_tokens"
        )
    return known


class _Asking:
    """Coroutines that take one question after the other. An error stops all."""

    def __init__(
        self, settings: JudgeSettings, template: str, store: VerdictStore, report: Callable[[int], None]
    ) -> None:
        self._settings, self._template, self._store, self._report = settings, template, store, report
        self._heard: dict[str, float | None] = {}
        self.unreadable = ""

    async def all(self, questions: Mapping[str, Question]) -> dict[str, float | None]:
        """Asks all questions.

        Raises:
            RequestError: The first error of a coroutine.
        """
        queue = iter(questions.items())
        async with Endpoint(self._settings) as endpoint:
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self._settings.concurrency, len(questions))):
                        workers.create_task(self._work(endpoint, queue))
            except ExceptionGroup as group:
                failure = group.exceptions[0]
            else:
                return self._heard
        raise failure

    async def _work(self, endpoint: Endpoint, queue: Iterator[tuple[str, Question]]) -> None:
        for key, question in queue:
            self._heard[key] = await self._ask(endpoint, key, question)
            self._report(len(self._heard))

    async def _ask(self, endpoint: Endpoint, key: str, question: Question) -> float | None:
        """Asks until there is a verdict, and keeps it. Without any reply, nothing is kept."""
        prompt = fill(self._template, question)
        understood = False
        for _ in range(ASKS):
            reply = await endpoint.ask(prompt)
            understood = understood or reply.complete
            if (verdict := reply.verdict(self._settings.verdict)) is not None:
                self._store.add(key, verdict)
                return verdict
            self.unreadable = endpoint.shown(reply.text)
        if understood:
            self._store.add(key, None)
        return None
