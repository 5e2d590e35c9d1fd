"""Bad requests: one line that names the culprit, an exit code, and nothing computed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from command_line import Cli
from processes import Run, environment, program

from mpobench.cli.run import app
from mpobench.planning.suite import Suite


def refused(done: subprocess.CompletedProcess[str], *said: str, code: int = 2) -> None:
    """Checks that a request was refused in one line that says what it should."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("mpobench: error: ")
    for words in said:
        assert words in line


OPTIONS = {
    "objective": (["--objectives", "dpoo"], "unknown objective 'dpoo': did you mean 'dpo'?"),
    "corruption": (["--corruptions", "nosy:0.1"], "unknown corruption 'nosy': did you mean 'noisy'?"),
    "env": (["--envs", "tlaa"], "unknown env 'tlaa': did you mean 'tla'?"),
    "evaluator": (["--evaluators", "retrun"], "unknown evaluator 'retrun': did you mean 'return'?"),
    "launcher": (["--launcher", "locl"], "unknown launcher 'locl': did you mean 'local'?"),
    "tracker": (["--log", "tensorbord"], "unknown tracker 'tensorbord': did you mean 'tensorboard'?"),
    "field": (["--objectives", "dpo:bta=1"], "objective 'dpo': no field 'bta': did you mean 'beta'?"),
    "field of a corruption": (["--corruptions", "noisy:rat=1"], "no field 'rat': did you mean 'rate'?"),
    "field of an env": (["--envs", "tla:bckend=mjx"], "no field 'bckend': did you mean 'backend'?"),
    "field value": (["--objectives", "dpo:beta=much"], "objective 'dpo': beta='much'"),
    "negative beta": (["--objectives", "dpo:beta=-1"], "objective 'dpo': beta='-1'"),
    "infinite beta": (["--objectives", "dpo:beta=inf"], "objective 'dpo': beta='inf'"),
    "backend": (["--envs", "tla:backend=unity"], "env 'tla': backend='unity'"),
    "backend without agents": (["--envs", "tla:backend=mjx"], "mjx"),
    "rate above one": (["--corruptions", "noisy:1.5"], "corruption 'noisy': rate='1.5'", "[0, 1]"),
    "rate below zero": (["--corruptions", "noisy:-0.1"], "corruption 'noisy': rate='-0.1'", "[0, 1]"),
    "rate not a number": (["--corruptions", "noisy:nan"], "corruption 'noisy': rate='nan'"),
    "rate in a sum": (["--corruptions", "mixed+noisy:2"], "corruption 'noisy': rate='2'", "[0, 1]"),
    "no rate": (["--corruptions", "noisy"], "corruption 'noisy': 'rate' has to be given"),
    "rate twice": (["--corruptions", "noisy:0.1,rate=0.1"], "'rate' is given twice"),
    "sum of objectives": (["--objectives", "dpo+orpo"], "only corruptions have sums"),
    "stray comma": (["--objectives", "dpo,,orpo"], "has a stray ','"),
    "no name": (["--objectives", ":beta=1"], "has no name"),
    "strange name": (["--objectives", "d p o"], "is not a name"),
    "no value": (["--objectives", "dpo:beta="], "gives no value for 'beta'"),
    "open bracket": (["--objectives", "dpo:beta=[1"], "has an open quote or bracket"),
    "no objective": (["--objectives", ""], "'objectives' has to have at least 1"),
    "scale": (["--scale", "large"], "scale='large'", "smoke|quick|paper"),
    "rerun": (["--rerun", "some"], "rerun='some'", "missing|errors|all"),
    "seeds": (["--seeds", "0"], "seeds=0", "[1, ∞)"),
    "workers": (["--workers", "-1"], "workers=-1", "[1, ∞)"),
    "training field": (
        ["--training", "epoch=3"],
        "training: no field 'epoch'",
        "did you mean 'epochs'",
        "po_learning_rate",
    ),
    "training range": (["--training", "learning_rate=-1"], "training: learning_rate='-1'", "greater than 0"),
    "training type": (["--training", "epochs=some"], "training: epochs='some'", "valid integer"),
    "training infinite": (["--training", "learning_rate=inf"], "training: learning_rate='inf'", "finite"),
    "training without a value": (["--training", "epochs"], "not of the form field=value"),
    "training with a stray =": (["--training", "=3"], "is not a key"),
    "too large a minibatch": (["--training", "pairs_per_update=99"], "pairs_per_update = 99", "8 pairs"),
    "no suite file": (["nowhere.toml"], "cannot read suite nowhere.toml: No such file"),
    "a folder as a suite": (["."], "cannot read suite .: Is a directory"),
}


def asked(tmp_path: Path, options: list[str]) -> list[str]:
    """A request that would be fine (though large) but for some options."""
    given = ["run", "--objectives", "sft", "--scale", "smoke", "--results", str(tmp_path / "results")]
    return [*given, *options]


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_options(case: str, tmp_path: Path, cli: Cli) -> None:
    options, *said = OPTIONS[case]
    refused(cli(*asked(tmp_path, options)), *said)
    assert not (tmp_path / "results").exists()


def test_a_shell_sees_the_line_and_the_exit_code(tmp_path: Path, mpobench_cli: Run) -> None:
    options, *said = OPTIONS["objective"]
    refused(mpobench_cli(*asked(tmp_path, options)), *said)
    debug = mpobench_cli(*asked(tmp_path, options), "--debug")
    assert (debug.returncode, debug.stdout) == (1, "")
    assert "Traceback (most recent call last)" in debug.stderr


@pytest.mark.parametrize("case", ["objective", "rate above one", "scale", "training field", "no suite file"])
def test_debug_shows_the_traceback(case: str, tmp_path: Path, cli: Cli) -> None:
    done = cli(*asked(tmp_path, OPTIONS[case][0]), "--debug")
    assert done.returncode in (1, 2)
    assert "Traceback (most recent call last)" in done.stderr
    assert OPTIONS[case][1] in done.stderr


def test_a_plugin_that_fails_while_a_run_is_planned(tmp_path: Path, bandit_site: Path, cli: Cli) -> None:
    done = cli(*asked(tmp_path, ["--envs", "bandit,jammed:plan"]), path=(bandit_site,))
    refused(done, "env 'jammed' of faulty-plugin 1.0 failed: ZeroDivisionError: no lever at all")


def test_a_request_without_objectives_says_what_to_add(cli: Cli) -> None:
    refused(cli("run", "--scale", "smoke"), "nothing to compare: add --objectives")


SUITES = {
    "malformed": ('objectives = ["dpo"', "is not a TOML file: Unclosed array"),
    "not a TOML file": ("dpo, orpo\n", "is not a TOML file"),
    "unknown field": ('objectives = "dpo"\nsedes = 3', "no field 'sedes': did you mean 'seeds'?"),
    "unknown table": ('objectives = "dpo"\n[trainings]\nepochs = 3', "did you mean 'training'?"),
    "field type": ('objectives = "dpo"\nseeds = [1, 2]', "seeds=[1, 2]"),
    "objective": ('objectives = ["dpo", "orpoo"]', "unknown objective 'orpoo': did you mean 'orpo'?"),
    "field of a table": ('objectives = [{name = "dpo", bta = 1}]', "did you mean 'beta'?"),
    "rate": ('objectives = "dpo"\ncorruptions = [{name = "noisy", rate = 7}]', "rate='7'"),
    "training": ('objectives = "dpo"\n[training]\nepoch = 3', "training: no field 'epoch'"),
    "nothing": ("", "'objectives' has to be given"),
}


@pytest.mark.parametrize("case", SUITES)
def test_bad_suites(case: str, tmp_path: Path, cli: Cli) -> None:
    text, said = SUITES[case]
    suite = tmp_path / "suite.toml"
    suite.write_text(text)
    named = (str(suite),) if case in ("malformed", "not a TOML file", "unknown field", "nothing") else ()
    refused(cli("run", str(suite), "--results", str(tmp_path / "results")), said, *named)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("inside", ["results", "results/cells", "file/below"])
def test_a_file_where_the_results_folder_should_be(inside: str, tmp_path: Path, cli: Cli) -> None:
    place = tmp_path / inside
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    results = place / "results" if inside == "file/below" else tmp_path / "results"
    refused(cli(*asked(tmp_path, ["--results", str(results)])), "cannot write", str(place))
    assert place.read_text() == "mine"


def test_a_folder_where_the_leaderboard_should_be(tmp_path: Path, bandit_site: Path, cli: Cli) -> None:
    (tmp_path / "results" / "leaderboard.md").mkdir(parents=True)
    done = cli(*asked(tmp_path, ["--envs", "bandit"]), path=(bandit_site,), cache=tmp_path / "cache")
    assert done.returncode == 2
    assert "leaderboard.md: it is not a regular file" in done.stderr.splitlines()[-1]
    assert len(list((tmp_path / "results" / "cells").glob("*.json"))) == 1, "what was computed is kept"


def limited(tmp_path: Path, site: Path, limit: int, *options: str) -> subprocess.CompletedProcess[str]:
    """A run in which no file can grow beyond ``limit`` bytes: a full disk, for root as well."""
    return subprocess.run(
        program(
            *asked(tmp_path, ["--envs", "bandit", *options]),
            before=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))",
        ),
        env=environment((site,), tmp_path / "cache") | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_is_noticed_before_anything_is_computed(tmp_path: Path, bandit_site: Path) -> None:
    refused(limited(tmp_path, bandit_site, 1000), "cannot write", str(tmp_path / "results"))
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "results" / "cells").iterdir()) == []


def test_a_disk_that_fills_up_in_mid_run_loses_nothing_that_was_finished(
    tmp_path: Path, bandit_site: Path
) -> None:
    cells = tmp_path / "results" / "cells"
    assert limited(tmp_path, bandit_site, 10**9).returncode == 0
    before = {file: file.read_bytes() for file in cells.iterdir()}
    # A training of so many epochs has curves that no longer fit.
    full = limited(tmp_path, bandit_site, 8000, "--training", "epochs=900")
    assert full.returncode in (1, 2)
    (line,) = (line for line in full.stderr.splitlines() if line.startswith("mpobench:"))
    assert re.search(r"cannot write .*: file too large", line)
    assert "Traceback" not in full.stderr
    assert {file: file.read_bytes() for file in cells.iterdir() if file in before} == before
    again = limited(tmp_path, bandit_site, 10**9, "--training", "epochs=900", "--rerun", "errors")
    assert again.returncode == 0, again.stderr
    assert len(list(cells.iterdir())) == 2


def test_an_unwritable_cache_is_noticed_before_anything_is_computed(
    tmp_path: Path, bandit_site: Path, cli: Cli
) -> None:
    (tmp_path / "cache").write_text("a file")
    done = cli(*asked(tmp_path, ["--envs", "bandit"]), path=(bandit_site,), cache=tmp_path / "cache")
    refused(done, "the cache cannot be used", str(tmp_path / "cache"), "MPOBENCH_CACHE")


COMMAND_LINE = [
    *("--envs", "tla,tla:backend=spring"),
    *("--corruptions", "base,mixed+noisy:0.1,bad-judge:20"),
    *("--objectives", "dpo:beta=0.2,tampo:schedule=sigmoid,beta=2,orpo"),
    *("--evaluators", "return"),
    *("--scale", "smoke", "--seeds", "2", "--workers", "1", "--launcher", "local", "--rerun", "errors"),
    *("--cell-timeout", "600", "--tuned", "TUNED"),
    *("--training", "learning_rate=3e-4", "--training", "po_epochs=4", "--title", "Ours"),
    *("--log", "tensorboard"),
]
TOML = """
title = "Ours"
envs = ["tla", {name = "tla", backend = "spring"}]
corruptions = ["base", "mixed+noisy:0.1", {name = "bad-judge", temperature = 20}]
objectives = [{name = "dpo", beta = 0.2}, {name = "tampo", schedule = "sigmoid", beta = 2.0}, "orpo"]
evaluators = ["return"]
scale = "smoke"
seeds = 2
workers = 1
launcher = "local"
rerun = "errors"
log = "tensorboard"
cell_timeout = 600
results = "RESULTS"
tuned = "TUNED"

[training]
learning_rate = 3e-4
po_epochs = 4
"""


def test_a_suite_file_says_all_that_the_command_line_says(tmp_path: Path, cli: Cli) -> None:
    suite = tmp_path / "suite.toml"
    tuned = str(tmp_path / "tuned.toml")
    (tmp_path / "tuned.toml").write_text('format = "mpobench-tuned/1"\n')
    suite.write_text(TOML.replace("RESULTS", str(tmp_path / "results")).replace("TUNED", tuned))
    command_line = [option.replace("TUNED", tuned) for option in COMMAND_LINE]
    plans = [
        cli("run", *options, "--dry-run")
        for options in ([*command_line, "--results", str(tmp_path / "results")], [str(suite)])
    ]
    assert plans[0].stdout == plans[1].stdout
    assert plans[0].stderr == plans[1].stderr
    untuned, counted = plans[0].stderr.splitlines()
    assert untuned.startswith(f"mpobench: warning: {tuned} has nothing for dpo:beta=0.2 on tla (base, ")
    assert counted == "18 cells, 18 trainings, 18 without a result"
    keys = [line.split()[-1] for line in plans[0].stdout.splitlines()]
    assert len(set(keys)) == 18
    above = cli("run", str(suite), "--seeds", "1", "--objectives", "orpo", "--dry-run").stdout
    assert 0 < len(above.splitlines()) == 3
    assert set(above.splitlines()) < set(plans[0].stdout.splitlines()), "options win over the file"
    assert not (tmp_path / "results").exists(), "a dry run writes nothing"


def test_every_option_is_a_field_of_a_suite_and_every_field_an_option() -> None:
    options = {parameter.name for parameter in typer.main.get_command(app).params}
    beside = {"suite", "dry_run", "install_completion", "show_completion"}
    assert options - beside == set(Suite.model_fields)
    assert {f.removeprefix("--").replace("-", "_") for f in COMMAND_LINE if f.startswith("--")} == (
        set(Suite.model_fields) - {"results"}
    )


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_suite_that_does_not_fit_into_memory_is_refused_at_once(
    dry: list[str], tmp_path: Path, cli: Cli
) -> None:
    began = seconds()
    done = cli(*asked(tmp_path, ["--seeds", "99999999999"]), *dry)
    refused(done, "the suite has 99,999,999,999 cells, and 1,000,000 is the limit", "take fewer --seeds")
    assert seconds() - began < 2


@pytest.mark.parametrize(
    ("option", "limit"), [("--population", "[2, 100000]"), ("--generations", "[1, 1e+06]")]
)
def test_a_search_without_end_is_refused_at_once(option: str, limit: str, cli: Cli) -> None:
    began = seconds()
    refused(cli("discover", option, str(10**12)), f"{option[2:]}=1000000000000", limit)
    assert seconds() - began < 2


def seconds() -> float:
    """Processor time of this process."""
    return sum(os.times()[:2])


def test_a_script_that_its_own_workers_would_run_again_is_told_so(tmp_path: Path, bandit_site: Path) -> None:
    script = tmp_path / "script.py"
    call = (
        f"mpobench.run(envs='bandit', scale='smoke', objectives='sft', results={str(tmp_path / 'results')!r})"
    )
    for guard, returncode in (("if True:", 1), ("if __name__ == '__main__':", 0)):
        script.write_text(f"import mpobench\n{guard}\n    {call}\n")
        done = subprocess.run(
            [sys.executable, str(script)],
            env=environment((bandit_site,), tmp_path / "cache"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == returncode, done.stderr
        hint = "a script calls mpobench.run below `if __name__ == '__main__':`"
        assert (hint in done.stderr) == (returncode == 1)
