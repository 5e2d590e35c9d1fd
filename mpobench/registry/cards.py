"""Cards of components: names, citations and where to find the class, without importing it.

Cards are what hooks yield. They are cheap on purpose: listing every installed plugin imports neither
jax nor torch, because ``target`` is resolved only when a run asks for the component.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mpobench.protocols import Origin

Kind: TypeAlias = Literal["env", "corruption", "objective", "evaluator", "launcher", "tracker", "command"]


NAME = r"[a-z0-9][a-z0-9._-]*"
"""Pattern of a component's name."""

TARGET = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"
"""Pattern of a target: ``package.module:Class``."""


class Card(BaseModel):
    """One component that a plugin offers.

    Attributes:
        name: Name in specs, lower case: ``dpo``, ``bad-judge``.
        summary: One line for listings.
        target: ``"package.module:Class"``, imported on first use.
        version: Version of the component's *behaviour*. Raise it when results change: it enters every
            result key, so that old results are not taken for new ones.
        citation: Paper, arXiv id or URL.
        positional: The field that a bare value sets: ``rate`` makes ``noisy:0.1`` mean
            ``noisy:rate=0.1``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[Kind]

    name: str = Field(pattern=f"^{NAME}$", max_length=60)
    summary: str = Field(min_length=1, max_length=160)
    target: str = Field(pattern=f"^{TARGET}$")
    version: str = "1"
    citation: str = ""
    positional: str | None = None

    @property
    def place(self) -> str:
        """Place of the component, for error lines."""
        return self.target


class EnvCard(Card):
    """A task; its target is an :class:`~mpobench.Env`.

    Attributes:
        default: Whether a run that names no environment takes this one. One installed card may say so.
    """

    kind = "env"
    default: bool = False


class CorruptionCard(Card):
    """A dataset corruption; its target is a :class:`~mpobench.DatasetCorruption`."""

    kind = "corruption"


class ObjectiveCard(Card):
    """A preference-optimization loss: a class, whose target is an :class:`~mpobench.Objective`, or an objective file.

    With a file, the objective is of the class registered under the file's ``objective``. The file's values lie above an
    environment's defaults for that class, and below those of a spec. Name, summary, citation and origin are this
    card's, whatever the file says of itself.

    Attributes:
        file: Path of an objective file that the plugin ships, in place of a target:
            ``Path(__file__).with_name("objective.json")``.
        origin: ``human`` for losses designed by hand: the leaderboard underlines the best of
            these; ``ours`` for those that the benchmark's paper derives by hand; ``discovered``
            for evolved ones.
    """

    kind = "objective"
    target: str = Field("", pattern=f"^({TARGET})?$")
    file: Path | None = None
    origin: Origin = "human"

    @model_validator(mode="after")
    def _class_or_file(self) -> ObjectiveCard:
        if bool(self.target) == bool(self.file):
            raise ValueError("a card has a target, which is a class, or the file of an objective")
        return self

    @property
    def place(self) -> str:
        """Place of the class or the file, for error lines."""
        return str(self.file or self.target)


class EvaluatorCard(Card):
    """A score of trained policies; its target is an :class:`~mpobench.Evaluator`."""

    kind = "evaluator"


class LauncherCard(Card):
    """A way to run many cells; its target is a :class:`~mpobench.Launcher`."""

    kind = "launcher"


class TrackerCard(Card):
    """A program that shows runs; its target is a :class:`~mpobench.Tracker`."""

    kind = "tracker"


class CommandCard(Card):
    """A command of the ``mpobench`` program; its target is a ``typer.Typer`` app."""

    kind = "command"
