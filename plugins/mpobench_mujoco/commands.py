"""``mpobench agents``: the agents that generate the data."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Annotated, Literal

import typer

from mpobench import RequestError
from mpobench.files.cache import cache_folder
from mpobench.registry.registry import get_registry
from mpobench_mujoco import agents
from mpobench_mujoco.env import MujocoEnv

app = typer.Typer(help="Show the agents that generate the data, or train them again.", no_args_is_help=True)

Backend = Annotated[str, typer.Option(help="brax physics backend: spring, generalized, positional, mjx.")]


def mujoco_env(name: str, backend: str, lacking: str = "agents") -> MujocoEnv:
    """An environment of this plugin on a backend.

    Raises:
        RequestError: If the name is unknown, or belongs to another plugin, whose environments have no ``lacking``.
    """
    env = get_registry().build("env", f"{name}:backend={backend}").component
    if not isinstance(env, MujocoEnv):
        raise RequestError(f"{name} has no {lacking}: try tla")
    return env


@app.command()
def show(
    env: Annotated[str, typer.Argument(help="Environment.")] = "tla", backend: Backend = "spring"
) -> None:
    """Show the two agents of an environment: their levels, and how they were made.

    mpobench agents show tla
    """
    task = mujoco_env(env, backend)
    for role in agents.ROLES:
        file, card = agents.find(task.name, task.backend, role)
        typer.echo(f"{role}  ({file})")
        for level in card.levels:
            typer.echo(f"  {level.task}: {level.mean:.0f} ± {level.stderr:.0f}, {level.episodes} episodes")
        parameters = "".join(f", {name} {value}" for name, value in card.parameters.items())
        typer.echo(
            f"  PPO on {card.recipe.task}, {card.steps / 1e6:.1f} M steps, seed {card.recipe.seed}, "
            f"action noise {card.action_std}{parameters}"
        )
        typer.echo(f"  {card.command}")


@app.command()
def train(
    env: Annotated[str, typer.Argument(help="Environment.")],
    role: Annotated[Literal["original", "target"], typer.Argument(help="Role of the agent.")],
    backend: Backend = "spring",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Environment steps after which to stop with a checkpoint.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the agent and its card. Default: agents/ENV-BACKEND."),
    ] = None,
) -> None:
    """Train an agent with PPO; a stopped training goes on when the command is given again.

    Runs from the same working folder use it, unless the package ships one for that environment and backend.

    The two agents of an environment train side by side, one core each:

        mpobench agents train tla original & mpobench agents train tla target
    """
    from mpobench_mujoco import xla

    task = mujoco_env(env, backend)
    xla.configure(cache_folder())
    with contextlib.redirect_stdout(io.StringIO()):  # as in physics
        from mpobench_mujoco import agent_training

    folder = output or agents.trained(task.name, task.backend)
    card = agent_training.train(task, role, folder, steps, lambda line: typer.echo(line, err=True))
    if card is None:
        typer.echo(f"stopped after {steps} steps: the same command without --steps goes on from {folder}")
        return
    for level in card.levels:
        typer.echo(f"{level.task}: {level.mean:.0f} ± {level.stderr:.0f}")
    typer.echo(f"{role} agent in {folder}")
