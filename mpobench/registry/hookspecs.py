"""The hooks that a plugin may implement, one per kind of component.

A plugin is any module that an entry point of the group ``mpobench`` names. Every hook yields frozen
cards; each docstring below is a plugin that runs as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from mpobench.registry.cards import (
    CommandCard,
    CorruptionCard,
    EnvCard,
    EvaluatorCard,
    LauncherCard,
    ObjectiveCard,
    TrackerCard,
)

hookspec = pluggy.HookspecMarker("mpobench")
hookimpl = pluggy.HookimplMarker("mpobench")
"""Decorator of a function that implements a hook."""


@hookspec
def mpobench_objectives() -> Iterable[ObjectiveCard]:  # type: ignore[empty-body]  # a spec has no body
    '''Objectives: preference-optimization losses.

    A card names a class, as below, or an objective file of its package: ``file=Path(__file__).with_name("found.json")``
    in place of the target. Then the card's name stands for the class that the file names, with the file's numbers for
    defaults. ``mpobench discover export`` writes a whole package of that kind.

    Example:
        .. code-block:: python

            from pydantic import Field
            from mpobench import Objective, ObjectiveCard, PreferenceBatch, hookimpl

            class Logistic(Objective):
                """Logistic loss on the mean log-probability margin."""

                beta: float = Field(1.0, gt=0, description="slope")

                def loss(self, batch: PreferenceBatch):
                    margin = batch.chosen.mean - batch.rejected.mean
                    return batch.xp.logaddexp(batch.xp.zeros_like(margin), -self.beta * margin)

            @hookimpl
            def mpobench_objectives():
                yield ObjectiveCard(
                    name="logistic", summary="Logistic loss on the margin", target=f"{__name__}:Logistic"
                )
    '''


@hookspec
def mpobench_corruptions() -> Iterable[CorruptionCard]:  # type: ignore[empty-body]  # as above
    '''Corruptions: how a preference dataset departs from the clean one.

    Example:
        .. code-block:: python

            from mpobench import CorruptionCard, DatasetCorruption, hookimpl

            class Contrarian(DatasetCorruption):
                """A judge who prefers the worse side."""

                def preference(self, returns):
                    return 1.0 - super().preference(returns)

            @hookimpl
            def mpobench_corruptions():
                yield CorruptionCard(
                    name="contrarian", summary="The judge prefers the worse side", target=f"{__name__}:Contrarian"
                )
    '''


@hookspec
def mpobench_envs() -> Iterable[EnvCard]:  # type: ignore[empty-body]  # as above
    """Environments: tasks that build preference datasets and train policies.

    Example:
        .. code-block:: python

            from mpobench import EnvCard, hookimpl

            @hookimpl
            def mpobench_envs():
                yield EnvCard(
                    name="my-tla", summary="The three-legged ant", target="mpobench_mujoco.env:ThreeLeggedAnt"
                )
    """


@hookspec
def mpobench_evaluators() -> Iterable[EvaluatorCard]:  # type: ignore[empty-body]  # as above
    """Evaluators: scores of a trained policy.

    Example:
        .. code-block:: python

            from mpobench import EvaluatorCard, hookimpl

            @hookimpl
            def mpobench_evaluators():
                yield EvaluatorCard(
                    name="true-return", summary="Mean return", target="mpobench_mujoco.evaluator:Return"
                )
    """


@hookspec
def mpobench_launchers() -> Iterable[LauncherCard]:  # type: ignore[empty-body]  # as above
    """Launchers: where cells run.

    Example:
        .. code-block:: python

            from mpobench import LauncherCard, hookimpl

            @hookimpl
            def mpobench_launchers():
                yield LauncherCard(
                    name="here", summary="Worker processes on this machine", target="mpobench.running.local:Local"
                )
    """


@hookspec
def mpobench_trackers() -> Iterable[TrackerCard]:  # type: ignore[empty-body]  # as above
    '''Trackers: programs in which people look at runs.

    Example:
        .. code-block:: python

            from contextlib import contextmanager
            from mpobench import Tracker, TrackerCard, hookimpl

            class Diary(Tracker):
                """A line for each cell in DIR/diary.txt."""

                @contextmanager
                def open(self, results):
                    with (results / "diary.txt").open("a") as diary:
                        yield lambda cell: print(*cell.group, cell.name, cell.status, file=diary)

            @hookimpl
            def mpobench_trackers():
                yield TrackerCard(name="diary", summary="A line for each cell", target=f"{__name__}:Diary")
    '''


@hookspec
def mpobench_commands() -> Iterable[CommandCard]:  # type: ignore[empty-body]  # as above
    """Commands: sub-commands of the ``mpobench`` program.

    Example:
        .. code-block:: python

            import typer
            from mpobench import CommandCard, hookimpl

            app = typer.Typer(help="Say hello.")

            @app.command()
            def world() -> None:
                typer.echo("hello")

            @hookimpl
            def mpobench_commands():
                yield CommandCard(name="hello", summary="Say hello", target=f"{__name__}:app")
    """
