"""What a plugin says of a component without importing it: names, citations and where to find the class.

Cards are what hooks yield. They are cheap on purpose: listing every installed plugin imports neither
jax nor torch, because ``target`` is resolved only when a run asks for the component.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from mpobench.protocols import Origin

Kind: TypeAlias = Literal["env", "corruption", "objective", "evaluator", "launcher", "command"]


class Card(BaseModel):
    """One component that a plugin offers.

    Attributes:
        name: what specs call it, lower case: ``dpo``, ``bad-judge``.
        summary: one line for listings.
        target: ``"package.module:Class"``, imported on first use.
        version: of the component's *behaviour*. Raise it when results change: it enters every
            result key, so that old results are not taken for new ones.
        citation: paper, arXiv id or URL.
        positional: the field that a bare value sets: ``rate`` makes ``noisy:0.1`` mean
            ``noisy:rate=0.1``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[Kind]

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)
    summary: str = Field(min_length=1, max_length=160)
    target: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    version: str = "1"
    citation: str = ""
    positional: str | None = None


class EnvCard(Card):
    """A task; its target is an :class:`~mpobench.Env`."""

    kind = "env"


class CorruptionCard(Card):
    """A dataset corruption; its target is a :class:`~mpobench.DatasetCorruption`."""

    kind = "corruption"


class ObjectiveCard(Card):
    """A preference-optimization loss; its target is an :class:`~mpobench.Objective`, or an objective file.

    A file is named by its path, a :class:`pathlib.Path` in the plugin's module, and so ships what a discovery found::

        FOUND = Path(__file__).with_name("objective.json")  # with target="my_package:FOUND"

    The objective is then of the class registered under the file's ``objective``, and the file's values are what its
    fields have unless a spec says otherwise; they lie above an environment's defaults for that class. Name, summary,
    citation and origin are this card's, whatever the file says of itself.

    Attributes:
        origin: ``human`` for losses designed by hand: the leaderboard underlines the best of
            these; ``ours`` for those that the benchmark's paper derives by hand; ``discovered``
            for evolved ones.
    """

    kind = "objective"
    origin: Origin = "human"


class EvaluatorCard(Card):
    """A score of trained policies; its target is an :class:`~mpobench.Evaluator`."""

    kind = "evaluator"


class LauncherCard(Card):
    """A way to run many cells; its target is a :class:`~mpobench.Launcher`."""

    kind = "launcher"


class CommandCard(Card):
    """A command of the ``mpobench`` program; its target is a ``typer.Typer`` app."""

    kind = "command"
