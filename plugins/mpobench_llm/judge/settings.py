"""Options of a judge: model and address, baseline, questions."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, model_validator

from mpobench.protocols import Component
from mpobench_llm.judge.digests import POLICY_FOLDER

ORIGINAL = "original"
"""Name of the baseline that every environment has: its untrained model."""


class JudgeSettings(Component):
    """The fields of a spec: ``judge:url=http://127.0.0.1:8000/v1,model=NAME``.

    Fields that could hold a secret are checked here, with errors that do not repeat them.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(description="base URL of an OpenAI-compatible endpoint; it ends in /v1 as a rule")
    model: str = Field(min_length=1, max_length=200, description="the judge's name at the endpoint")
    baseline: str = Field(
        ORIGINAL,
        min_length=1,
        description="what answers are compared with: original (of the untrained model), an AlpacaEval "
        f"model_outputs.json, or a policy's folder {POLICY_FOLDER}",
    )
    instructions: str | None = Field(
        None,
        min_length=1,
        description="file of instructions: JSON or JSONL of objects with 'instruction', or text, one a line; "
        "null takes the environment's own held-out ones",
    )
    template: str | None = Field(
        None,
        min_length=1,
        description="text file with {instruction}, {output_1}, {output_2} that asks for m or M; null takes ours",
    )
    verdict: Literal["auto", "logprob", "parsed"] = Field(
        "auto",
        description="read from the log-probabilities of m and M, from the text of the reply, "
        "or from the first of these that the endpoint offers",
    )
    temperature: float = Field(0.0, ge=0, le=2, description="of the judge's sampling")
    max_tokens: int = Field(8, ge=1, le=100_000, description="of a reply")
    concurrency: int = Field(8, ge=1, le=1000, description="requests under way at once")
    timeout: float = Field(
        60.0, gt=0, le=3600, description="seconds without an answer until a request is repeated"
    )
    retries: int = Field(
        6, ge=0, le=100, description="how often a request is repeated when the endpoint fails"
    )
    key_variable: str = Field(
        "OPENAI_API_KEY", description="name of the environment variable that holds the key; it may be unset"
    )

    @model_validator(mode="after")
    def _no_secrets(self) -> JudgeSettings:
        """Refuses secrets in a spec. This is no field validator, because its error would repeat the value."""
        try:
            parts = urlsplit(self.url)
            readable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            readable = False
        if not readable or len(self.url) > 500 or not self.url.isprintable() or " " in self.url:
            raise ValueError("'url' is not the address of an endpoint: write url=http://HOST:PORT/v1")
        if "@" in parts.netloc:
            raise ValueError(
                "'url' holds credentials, which results would show: set the variable that 'key_variable' names instead"
            )
        if {"?", "#"} & set(self.url):
            raise ValueError(
                "'url' has a query or fragment, which may hold a secret: give the base URL alone, http://HOST:PORT/v1"
            )
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,99}", self.key_variable):
            raise ValueError(
                "'key_variable' is the NAME of an environment variable, in capitals, such as OPENAI_API_KEY, "
                "never the key itself"
            )
        return self
