"""Replies of an endpoint, and the verdicts in them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

FIRST, SECOND = "m", "M"
"""Names of the two answers in templates, as in AlpacaEval 2: two tokens of about equal probability."""

TOP_LOGPROBS = 5
"""Number of tokens to ask for at each position: AlpacaEval's number, which all endpoints grant."""

_NAMES = re.compile(r"(?<![\w'’])[mM](?![\w'’])")


class _Token(BaseModel):
    token: str
    logprob: float = Field(allow_inf_nan=False)


class _Position(_Token):
    top_logprobs: list[_Token] | None = None


class _Logprobs(BaseModel):
    content: list[_Position] | None = None


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    logprobs: _Logprobs | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)


@dataclass(frozen=True)
class Reply:
    """A reply, or anything else that an endpoint sent.

    Attributes:
        text: Text of the judge; the body itself if it is no chat completion.
        positions: Log-probabilities of the most probable tokens at each position, where the endpoint gave any.
        complete: Whether it is a chat completion.
    """

    text: str
    positions: tuple[dict[str, float], ...] = ()
    complete: bool = True

    @classmethod
    def parse(cls, body: bytes) -> Reply:
        """Reads the body of a response."""
        try:
            choice = _Completion.model_validate_json(body).choices[0]
        except ValidationError:
            return cls(body.decode(errors="replace"), complete=False)
        positions = (choice.logprobs.content if choice.logprobs else None) or []
        return cls(choice.message.content or "", tuple(_positions(positions)))

    def verdict(self, mode: Literal["auto", "logprob", "parsed"]) -> float | None:
        """The probability that the first answer is the better one.

        Args:
            mode: ``logprob`` reads p(m) / (p(m) + p(M)), ``parsed`` 1 or 0 from the text, ``auto`` the first of the two
                that is there.

        Returns:
            A number in [0, 1]; None if there is no verdict.
        """
        if not self.complete:
            return None
        probability = None if mode == "parsed" else self._weighed()
        return self._named() if probability is None and mode != "logprob" else probability

    def _weighed(self) -> float | None:
        """The verdict from the log-probabilities where the judge names an answer, or at the first position."""
        from scipy.special import expit

        if not self.positions:
            return None
        position = next(
            (
                position
                for position in self.positions
                if max(position, key=position.__getitem__) in (FIRST, SECOND)
            ),
            self.positions[0],
        )
        if not {FIRST, SECOND} & position.keys():
            return None
        first, second = (position.get(name, -math.inf) for name in (FIRST, SECOND))
        return float(expit(first - second))

    def _named(self) -> float | None:
        named = set(_NAMES.findall(self.text))
        return None if len(named) != 1 else float(named == {FIRST})


def _positions(positions: list[_Position]) -> list[dict[str, float]]:
    """Tokens without spaces around them; the probabilities of " m" and "m" add up."""
    merged: list[dict[str, float]] = []
    for position in positions:
        total: dict[str, float] = {}
        for token in position.top_logprobs or [position]:
            name = token.token.strip()
            total[name] = float(np.logaddexp(total.get(name, -math.inf), token.logprob))
        merged.append(total)
    return merged
