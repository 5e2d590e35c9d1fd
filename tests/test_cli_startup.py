"""``mpobench --help`` and ``mpobench plugins`` are fast, because they import no library that computes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import pytest
from command_line import Cli

from mpobench.cli.lazy import BUILTIN
from mpobench.registry.registry import get_registry

HEAVY = {
    "jax",
    "torch",
    "brax",
    "numpy",
    "scipy",
    "optax",
    "mujoco",
    "matplotlib",
    "rich",
    "dask",
    "distributed",
    "optuna",
    "tensorboardX",
    "wandb",
}
LISTINGS = [
    ["--help"],
    ["plugins"],
    ["plugins", "--json"],
    ["objectives"],
    ["objectives", "show", "simpo"],
    ["corruptions", "list"],
    ["launchers", "show", "dask"],
    ["trackers", "show", "wandb"],
    ["trackers", "show", "tensorboard"],
    ["plot", "gradient", "--help"],
    ["tune", "--help"],
    ["plot", "tuning", "--help"],
    ["discover", "--help"],
    ["discover", "distil", "--help"],
    ["discover", "export", "--help"],
    ["verify", "--help"],
    ["status", "--help"],
    ["show", "--help"],
    ["diff", "--help"],
    ["clean", "--help"],
    ["doctor", "--help"],
    ["export", "--help"],
]

_PROBE = """
import json, sys
from mpobench.cli import main
for args in json.loads(sys.argv[1]):
    try:
        main(args)
    except SystemExit as end:
        assert not end.code, end.code
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def test_listings_import_no_heavy_library() -> None:
    """What one of them had imported would still be there after the others: one process serves all."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, json.dumps(LISTINGS)], capture_output=True, text=True, check=True
    )
    assert done.stdout
    for args, modules in zip(LISTINGS, done.stderr.splitlines(), strict=True):
        assert HEAVY.isdisjoint(json.loads(modules)), args


def _processor_seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("args", "limit"),
    [(["--help"], 6), (["plugins"], 6), (["objectives"], 9)],  # the last imports every objective
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_listings_answer_at_once(args: list[str], limit: float) -> None:
    """Within a few times the processor time of importing typer: 0.07 s, where a listing takes 0.3 s."""
    # Processor time, the best of some: starting up waits for nothing, and other work on a busy machine does not count.
    assert any(
        _processor_seconds("from mpobench.cli import main; main()", *args)
        < limit * _processor_seconds("import typer")
        for _ in range(5)
    )


def test_help_names_every_command(cli: Cli) -> None:
    text = cli("--help").stdout
    for name, (_, summary) in BUILTIN.items():
        assert name in text
        assert summary in text
    assert "agents" in text, "a plugin's command is missing"
    assert "plot" in text


def test_version(cli: Cli) -> None:
    from mpobench import __version__

    assert cli("--version").stdout == f"mpobench {__version__}\n"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["objectives", "show", "dpp"], "mpobench: error: unknown objective 'dpp': did you mean 'dpo'?"),
        (["objectivs"], "Error: no such command 'objectivs': did you mean 'objectives'?"),
        (["plugins", "--jsn"], "Error: No such option: --jsn"),
    ],
)
def test_bad_requests_exit_with_2_and_say_why(cli: Cli, args: list[str], line: str) -> None:
    done = cli(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(cli: Cli) -> None:
    for args in (["--debug", "objectives", "show", "dpp"], ["objectives", "show", "dpp", "--debug"]):
        done = cli(*args)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "SpecError: unknown objective 'dpp'" in done.stderr


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [("objectives", "dpo", "beta"), ("corruptions", "noisy", "rate"), ("envs", "tla", "backend")],
)
def test_show_tells_the_options(cli: Cli, kind: str, name: str, field: str) -> None:
    shown = json.loads(cli(kind, "show", name, "--json").stdout)
    assert shown["name"] == name
    assert field in {each["name"] for each in shown["fields"]}
    text = cli(kind, "show", name).stdout
    assert all(each["description"] in text for each in shown["fields"])
    assert shown["doc"] in text


def test_list_is_the_default_and_agrees_with_plugins(cli: Cli) -> None:
    listed = json.loads(cli("objectives", "--json").stdout)
    assert listed == json.loads(cli("objectives", "list", "--json").stdout)
    components = json.loads(cli("plugins", "--json").stdout)["components"]
    trained = {"two_stage", "needs_reference"}
    shared = [{key: value for key, value in each.items() if key not in trained} for each in listed]
    assert shared == [each for each in components if each["kind"] == "objective"]


def test_objectives_tell_at_a_glance_how_they_train(cli: Cli) -> None:
    registry = get_registry()
    header, *lines = cli("objectives").stdout.splitlines()
    assert header.split() == ["name", "origin", "stages", "reference", "summary"]
    listed = json.loads(cli("objectives", "--json").stdout)
    for line, each in zip(lines, listed, strict=True):
        objective = registry.build("objective", each["name"]).component
        assert (each["two_stage"], each["needs_reference"]) == (
            objective.two_stage,
            objective.needs_reference,
        )
        stages, reference = "two" if each["two_stage"] else "one", "yes" if each["needs_reference"] else "no"
        assert line.split(maxsplit=4) == [each["name"], each["origin"], stages, reference, each["summary"]]


def test_an_objective_that_cannot_be_had_is_listed_all_the_same(install: Any, cli: Cli) -> None:
    site = install(
        "half-done",
        "from mpobench import ObjectiveCard, hookimpl\n"
        "@hookimpl\n"
        "def mpobench_objectives():\n"
        "    yield ObjectiveCard(name='lost', summary='Lost', target='no_such_package:Lost')\n",
    )
    lines = cli("objectives", path=(site,)).stdout.splitlines()
    assert ["lost", "human", "?", "?", "Lost"] in [line.split() for line in lines]


def test_show_tells_everything_of_an_objective(cli: Cli) -> None:
    shown = json.loads(cli("objectives", "show", "simpo", "--json").stdout)
    beta = next(field for field in shown["fields"] if field["name"] == "beta")
    assert beta["search"] == {"low": 0.001, "high": 1000.0, "log": True}
    assert (beta["range"], beta["default"]) == ("(0, ∞)", "2")
    assert next(field for field in shown["fields"] if field["name"] == "sft_first")["search"] is None
    text = cli("objectives", "show", "simpo").stdout
    for words in (
        "−log σ(β (M_w − M_l) − γ)",
        shown["citation"],
        "Origin: human. Stages: two. Reference policy: no.",
        "[0.001, 1000] log",
        "(0, ∞)",
    ):
        assert words in text
    (row,) = (line for line in text.splitlines() if line.startswith("beta"))
    assert row.split() == [
        "beta",
        "float",
        "2",
        "(0,",
        "∞)",
        "[0.001,",
        "1000]",
        "log",
        *beta["description"].split(),
    ]
    assert "search" not in cli("corruptions", "show", "noisy").stdout, "a column of nothing"


def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        done = subprocess.run(
            [sys.executable, "-u", "-c", "from mpobench.cli import main; main()", "plugins"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.strip() == "mpobench: error: [Errno 28] No space left on device"


def test_an_interrupt_is_one_line_and_exit_code_130(install: Any, cli: Cli) -> None:
    site = install(
        "impatient",
        "import typer\n"
        "from mpobench import CommandCard, hookimpl\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def wait() -> None:\n"
        "    raise KeyboardInterrupt\n"
        "@hookimpl\n"
        "def mpobench_commands():\n"
        "    yield CommandCard(name='wait', summary='Wait', target='impatient:app')\n",
    )
    done = cli("wait", path=(site,))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mpobench: interrupted\n")
    assert "--install-completion" not in cli("wait", "--help", path=(site,)).stdout
