"""The command ``mpobench answers``: answers of a trained policy, in AlpacaEval's format."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mpobench import RequestError, Workspace
from mpobench.display.progress import Display
from mpobench.files.cache import cache_folder, in_use
from mpobench.protocols import Scale
from mpobench.registry.registry import get_registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultStore, read_results

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def answers(
    *,
    results: Annotated[Path, typer.Option(help="Results folder of `mpobench run`.")] = Path("results"),
    env: Annotated[
        str | None, typer.Option(help="Environment of the policy. Needed where there are several.")
    ] = None,
    objective: Annotated[str | None, typer.Option(help="Objective of the policy; likewise.")] = None,
    corruption: Annotated[str | None, typer.Option(help="Corruption of its dataset; likewise.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of its training, and of the sampling.")] = 0,
    scale: Annotated[Scale, typer.Option(help="Scale of its training.")] = "quick",
    instructions: Annotated[
        Path | None,
        typer.Option(
            help="Questions to answer: AlpacaEval's .json, .jsonl, or text. Default: held-out ones."
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="File to write.")] = Path("model_outputs.json"),
) -> None:
    """Write the answers of a trained policy as AlpacaEval's model_outputs.json.

    \b
    Examples:
      mpobench answers --objective dpo --corruption base
      mpobench answers --objective dpo --corruption base --instructions alpaca_eval.json --output dpo.json

    Its adapter is in peft's format already, in the folder that the command names.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench_llm.envs.language_env import LanguageEnv
    from mpobench_llm.generation.alpaca_eval import write_outputs
    from mpobench_llm.generation.instructions import read_instructions

    wanted = {"env": env, "objective": objective, "corruption": corruption, "seed": seed, "scale": scale}
    cell = _one(results, {name: value for name, value in wanted.items() if value is not None})
    component = get_registry().build("env", cell.env).component
    folder = ResultStore(results).policy_folder(cell.training_key)
    if not isinstance(component, LanguageEnv):
        raise RequestError(f"{cell.env} trains no language model: its policies have no answers")
    component = component.as_recorded(cell.config.get("dataset", {}))
    if not folder.exists():
        raise RequestError(
            f"the policy in {folder} is gone: train it again with `mpobench run ... --rerun all`"
        )
    questions = list(read_instructions(instructions)) if instructions else None
    with Display({"evaluation": {"answers": 1.0}}) as display, in_use(cache_folder()) as cache:
        workspace = Workspace(cache, partial(display.update, "answers"), note=display.note)
        answered = component.answers(component.load_policy(folder), seed, cell.scale, workspace, questions)
    write_outputs(output, answered, f"{cell.objective} on {cell.env} {cell.corruption}, seed {seed}")
    typer.echo(output)
    typer.echo(f"{len(answered)} answers of the adapter in {folder}", err=True)


def _one(results: Path, wanted: dict[str, object]) -> CellResult:
    """A cell of the only policy with the wanted fields.

    Raises:
        RequestError: If there is none, or several, with those that there are.
    """
    policies = {cell.training_key: cell for cell in read_results(results) if cell.status == "ok"}
    fitting = [
        cell
        for cell in policies.values()
        if all(getattr(cell, name) == value for name, value in wanted.items())
    ]
    if len(fitting) == 1:
        return fitting[0]
    asked = ", ".join(f"{name} {value}" for name, value in wanted.items())
    listed = sorted(
        f"--env {cell.env} --objective {cell.objective} --corruption {cell.corruption} --seed {cell.seed} "
        f"--scale {cell.scale}"
        for cell in fitting or policies.values()
    )
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    raise RequestError(
        f"{results} has {'several policies' if fitting else 'no policy'} with {asked}; "
        f"there is: {'; '.join(listed[:4]) or 'none (run `mpobench run` first)'}{more}"
    )
