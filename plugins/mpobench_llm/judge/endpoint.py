"""A judge at an OpenAI-compatible endpoint: requests with retries, and errors without the key."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mpobench import RequestError
from mpobench_llm.judge.replies import TOP_LOGPROBS, Reply
from mpobench_llm.judge.settings import JudgeSettings

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAIError

SHOWN = 160
"""Number of characters of a server's message that an error repeats."""


class Endpoint:
    """A client of the endpoint; an asynchronous context manager.

    The ``openai`` package repeats requests that time out, lose their connection, or are answered by 408, 409, 429 or
    5xx: after 0.5 s, twice that and so on up to 8 s, less a random quarter, or when ``Retry-After`` says, if that is
    within two minutes.

    Args:
        settings: Options of the judge.

    Raises:
        RequestError: If the key cannot be sent.
    """

    def __init__(self, settings: JudgeSettings) -> None:
        from openai import AsyncOpenAI

        self._settings = settings
        self._key = os.environ.get(settings.key_variable, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise RequestError(f"{settings.key_variable} holds characters that no key has: set it again")
        # Without a key the package would take OPENAI_API_KEY, and send it to any address.
        self._client = AsyncOpenAI(
            base_url=settings.url,
            api_key=self._key or "none",
            timeout=settings.timeout,
            max_retries=settings.retries,
        )
        self._options: dict[str, Any] = {
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens,
        }
        if settings.verdict != "parsed":
            self._options |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}

    async def __aenter__(self) -> Endpoint:
        """The endpoint itself; nothing is sent yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        await self._client.close()

    async def ask(self, prompt: str) -> Reply:
        """Sends a prompt.

        Raises:
            RequestError: If the endpoint cannot be reached, refuses, or lacks what the settings ask for.
        """
        from openai import APIStatusError, OpenAIError

        sent = self._options
        try:
            reply = await self._send(prompt, sent)
        except APIStatusError as error:
            if (accepted := self._accepted(sent, error)) is None:
                raise RequestError(self._refusal(error)) from None
        except OpenAIError as error:
            raise RequestError(self._failure(error)) from None
        else:
            if self._settings.verdict == "logprob" and reply.complete and not reply.positions:
                raise RequestError(
                    f"{self._name} returns no log-probabilities: ask with verdict=parsed or verdict=auto"
                )
            return reply
        self._options = accepted
        return await self.ask(prompt)

    async def _send(self, prompt: str, options: dict[str, Any]) -> Reply:
        from openai import Omit

        # The package's values from the environment belong to OpenAI's address only.
        headers: dict[str, Any] = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
        if not self._key:
            headers["Authorization"] = Omit()
        response = await self._client.chat.completions.with_raw_response.create(
            model=self._settings.model,
            messages=[{"role": "user", "content": prompt}],
            extra_headers=headers,
            **options,
        )
        return Reply.parse(response.content)

    def _accepted(self, sent: dict[str, Any], error: APIStatusError) -> dict[str, Any] | None:
        """Other options that the endpoint may accept after it refused some; None if the refusal has another reason."""
        message = _message(error)
        if not 400 <= error.status_code < 500:
            return None
        if self._settings.verdict == "auto" and "logprobs" in sent and "logprob" in message:
            return {name: value for name, value in sent.items() if "logprobs" not in name}
        if "max_tokens" in sent and "max_completion_tokens" in message:  # reasoning models of OpenAI
            renamed = {"max_tokens": "max_completion_tokens"}
            return {renamed.get(name, name): value for name, value in sent.items()}
        return None

    @property
    def _name(self) -> str:
        return f"judge {self._settings.model} at {self._settings.url}"

    def shown(self, text: str) -> str:
        """A server's message in one short line, without the key."""
        if self._key:
            text = text.replace(self._key, "…")
        return " ".join(text.split())[:SHOWN]

    def _refusal(self, error: APIStatusError) -> str:
        status, message = error.status_code, self.shown(_message(error))
        advice = ""
        if status == 401:
            known = "another key in" if self._key else "the key in"
            advice = f"; put {known} the environment variable {self._settings.key_variable}"
        elif status in (408, 409, 429) or status >= 500:
            advice = f" after up to {self._settings.retries} retries"
        return f"{self._name}: HTTP {status}{advice}: {message}"

    def _failure(self, error: OpenAIError) -> str:
        from openai import APITimeoutError

        times = self._settings.retries + 1
        problem = (
            f"no answer within {self._settings.timeout:g} s"
            if isinstance(error, APITimeoutError)
            else "not reached"
        )
        why = f" ({self.shown(str(error.__cause__))})" if error.__cause__ and str(error.__cause__) else ""
        return f"{self._name}: {problem}, {times} times in a row{why}: is the server running? Verdicts so far are kept"


def _message(error: APIStatusError) -> str:
    """The server's message: from ``{"error": {"message": …}}``, ``{"error": …}``, ``{"detail": …}``, or the body."""
    body: Any = error.body
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and name in body:
            body = body[name]
    return str(body or error.message)
