"""``mpobench agents``: the agents that generate the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mpobench import RequestError, Workspace
from mpobench.files.cache import cache_folder, in_use
from mpobench.registry.registry import get_registry
from mpobench_mujoco import agents
from mpobench_mujoco.env import MujocoEnv
from mpobench_mujoco.quiet import quiet_imports

app = typer.Typer(
    help="Show the agents that generate the data, or train them again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def mujoco_env(spec: str, lacking: str = "agents") -> MujocoEnv:
    """An environment of this plugin.

    Raises:
        RequestError: If the spec is unknown, or belongs to another plugin, whose environments have no ``lacking``.
    """
    env = get_registry().build("env", spec).component
    if not isinstance(env, MujocoEnv):
        raise RequestError(f"{spec} has no {lacking}: try tla")
    return env


@app.command()
def show(
    env: Annotated[str, typer.Argument(help="Environment: tla, tla:std=learned, hopper:mjx.")] = "tla",
) -> None:
    """Show the two agents of an environment: their levels, and how they were made.

    \b
    Example:
      mpobench agents show tla
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    task = mujoco_env(env)
    for role in agents.ROLES:
        file, card = task.agent(role)
        typer.echo(f"{role}  ({file})")
        for level in card.levels:
            typer.echo(
                f"  {level.task}: {level.mean:.0f} ± {level.stderr:.0f}, {level.episodes} episodes, "
                f"{level.full_length:.1%} of full length"
            )
        parameters = "".join(f", {name} {value}" for name, value in card.parameters.items())
        typer.echo(
            f"  PPO on {card.recipe.task}, {card.steps / 1e6:.1f} M steps, seed {card.recipe.seed}, "
            f"action noise {card.action_std}{parameters}"
        )
        typer.echo(f"  {card.command}")
    facts = agents.find_pair_facts(file.parent)
    if facts is None:
        typer.echo(f"Their data were not measured: mpobench agents measure {task.spec}")
        return
    typer.echo(f"{facts.pairs} pairs of clean data:")
    for name, value in facts.facts.items():
        typer.echo(f"  {name}: {value:.3g}")
    if facts.between:
        shares = ", ".join(f"{value:.0f} at {share} %" for share, value in facts.between.items())
        typer.echo(f"return of policies that act between the two, by the target's share: {shares}")


@app.command()
def measure(
    env: Annotated[str, typer.Argument(help="Environment: tla, tla:std=learned, hopper:mjx.")],
) -> None:
    """Measure the two agents of an environment again: their levels, and the data that they generate.

    The numbers are written beside the agents, where `mpobench agents show` reads them.

    \b
    Example:
      mpobench agents measure tla
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench_mujoco import xla

    task = mujoco_env(env)
    xla.configure(cache_folder())
    with quiet_imports():
        from mpobench_mujoco import agent_measuring

    with in_use(cache_folder()) as cache:
        facts = agent_measuring.measure(task, Workspace(cache))
    for name, value in facts.facts.items():
        typer.echo(f"{name}: {value:.3g}")


@app.command()
def train(
    env: Annotated[str, typer.Argument(help="Environment: tla, tla:std=learned, hopper:mjx.")],
    role: Annotated[Literal["original", "target"], typer.Argument(help="Role of the agent.")],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Environment steps after which to stop with a checkpoint.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the agent and its card. Default: agents/ENV-BACKEND."),
    ] = None,
) -> None:
    """Train an agent with PPO; a stopped training goes on when the command is given again.

    Runs from the same working folder use it, unless the package ships one for that environment.

    The two agents of an environment train side by side, one core each.

    \b
    Example:
      mpobench agents train tla original & mpobench agents train tla target
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench_mujoco import xla

    task = mujoco_env(env)
    xla.configure(cache_folder())
    with quiet_imports():
        from mpobench_mujoco import agent_training

    folder = output or agents.trained(task.agents_name)
    card = agent_training.train(task, role, folder, steps, lambda line: typer.echo(line, err=True))
    if card is None:
        typer.echo(f"stopped after {steps} steps: the same command without --steps goes on from {folder}")
        return
    for level in card.levels:
        typer.echo(f"{level.task}: {level.mean:.0f} ± {level.stderr:.0f}")
    typer.echo(f"{role} agent in {folder}")
