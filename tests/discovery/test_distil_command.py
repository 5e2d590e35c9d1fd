"""``mpobench discover distil``: the file that it writes says what was printed, and refusals are one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from objective_file_samples import one_step
from processes import Run
from typer.testing import CliRunner

import mpobench
import mpobench_discovery.distil_command
from mpobench import RequestError, save_objective
from mpobench.errors import PluginError
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.registry.objective_files import read_objective_file
from mpobench.registry.registry import Registry
from mpobench_discovery.commands import app
from mpobench_discovery.polynomial import Polynomial


@pytest.fixture
def cache(bandits: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command sees the bandit, and works in an empty folder."""
    monkeypatch.setattr(mpobench_discovery.distil_command, "get_registry", lambda: bandits)
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "cache"


BANDIT = ("--env", "bandit", "--scale", "smoke")


def distil(*args: str) -> str:
    """What the command prints on stdout."""
    return CliRunner().invoke(app, ["distil", *args], catch_exceptions=False).stdout


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network that a search on the bandit might have found."""
    path = tmp_path / "network" / "objective.json"
    provenance = {"env": "bandit", "corruption": "noisy:0.2", "scale": "smoke", "seed": 7}
    save_objective(path, one_step(), "1s-mpo", name="net", summary="N", citation="Us", provenance=provenance)
    return path


@pytest.mark.usefixtures("cache")
def test_the_file_has_the_numbers_that_are_printed(network: Path, bandits: Registry, cache: Path) -> None:
    said = distil(str(network))
    assert said.endswith("\nnet-distilled.json\n")
    file = read_objective_file(Path("net-distilled.json"))
    assert (file.card.name, file.card.objective, file.card.citation) == (
        "net-distilled",
        "mpo-polynomial",
        "Us",
    )
    assert file.card.tensors is None
    made = file.card.provenance
    assert {key: made[key] for key in ("distilled_from", "env", "corruption", "scale", "seed")} == {
        "distilled_from": "net",
        "env": "bandit",
        "corruption": "noisy:0.2",
        "scale": "smoke",
        "seed": 0,
    }
    assert made["points"] == "8 pairs (bandit, noisy:0.2, seed 0, smoke)"
    values = dict(file.values)
    terms = tuple(values[f"c{power}"] for power in range(1, made["degree"] + 1))
    assert Polynomial(values["alpha"], terms, values["low"], values["high"]).formula in said
    assert f"{made['error']:.1%}" in file.card.summary

    assert not (cache / "work.log").exists(), "nothing was trained"
    suite = Suite.of({"envs": "bandit", "seeds": 1, "objectives": ["orpo", "net-distilled.json"]})
    assert [cell.objective for cell in plan(suite, bandits).cells] == ["orpo", "net-distilled"]


@pytest.mark.usefixtures("cache")
def test_the_digest_is_of_the_objective_and_not_of_its_path(tmp_path: Path) -> None:
    found = tmp_path / "found" / "objective.json"
    save_objective(found, mpobench.objective("lpo:lam=2"), "lpo", name="line", summary="L")

    def digest(spec: str, name: str) -> str:
        distil(spec, *BANDIT, "--name", name, "--degree", "1")
        return str(read_objective_file(Path(f"{name}.json")).card.provenance["digest"])

    first = digest(f"{found}:lam=2", "a")
    moved = found.parent.rename(found.parent.with_name("moved")) / found.name
    assert digest(str(moved), "b") == first
    assert digest(f"{moved}:lam=3", "c") != first


@pytest.mark.usefixtures("cache")
def test_a_loss_of_sums_has_a_polynomial_of_sums() -> None:
    options = ("--env", "bandit", "--scale", "smoke", "--degree", "2")
    distil("cpo:beta=0.01", *options, "--output", "deep/sums.json", "--name", "sums")
    distil("cpo:beta=0.01,reduction=mean", *options, "--output", "means.json", "--name", "means")
    sums, means = (mpobench.objective(file) for file in ("deep/sums.json", "means.json"))
    assert (sums.reduction, means.reduction) == ("sum", "mean")
    assert sums.high == pytest.approx(20 * means.high, rel=0.01)
    assert sums.c1 == pytest.approx(0.005, rel=0.01)


@pytest.mark.usefixtures("cache")
def test_a_moment_of_a_loss_that_changes() -> None:
    distil(
        "tampo:beta=1,gamma=0", "--env", "bandit", "--scale", "smoke", "--progress", "0", "--name", "start"
    )
    begin = mpobench.objective("start.json")
    assert (begin.alpha, begin.c1) == (1, 0)
    assert read_objective_file(Path("start.json")).card.provenance["progress"] == 0


@pytest.mark.usefixtures("cache")
def test_without_pairs_a_grid_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        """No environment is one."""

    monkeypatch.setattr(mpobench_discovery.distil_command, "HasPairLogps", Nothing)
    assert "a grid from -14 to -8 nats per step" in distil("mpo-mixed", "--env", "bandit", "--name", "again")
    again = mpobench.objective("again.json")
    assert (again.alpha, again.c1, again.c2, again.c3) == (0.82, 1.7, 0.33, 0.36)
    with pytest.raises(RequestError, match="bandit cannot tell log-probabilities of its pairs: state"):
        distil("cpo", "--env", "bandit")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("dpo", *BANDIT), "dpo reads a reference policy, and mpo-polynomial has none"),
        (("2s-mpo", *BANDIT), "2s-mpo reads a reference policy"),
        (("simpo", *BANDIT), "simpo begins with an SFT stage, and mpo-polynomial does not"),
        (
            ("tampo", *BANDIT),
            "tampo cannot be distilled: it changes in the course of training: choose a moment",
        ),
        (("mpo-polynomial:alpha=0,c1=0,c2=0,c3=0", *BANDIT), "its gradient is 0 at every pair"),
        (("orpp", *BANDIT), "unknown objective 'orpp': did you mean 'orpo'?"),
        (("orpo:lamb=1", *BANDIT), "no field 'lamb': did you mean 'lam'?"),
        (("nowhere.json", *BANDIT), "cannot read objective file nowhere.json: no such file or directory"),
        (("text.json", *BANDIT), "objective file text.json is not JSON"),
        (("orpo", "--env", "bandid"), "unknown env 'bandid': did you mean 'bandit'?"),
        (("orpo", *BANDIT, "--corruption", "nosy:0.1"), "unknown corruption 'nosy': did you mean 'noisy'?"),
        (("orpo", *BANDIT, "--output", "a.txt"), "--output a.txt: objective files end in .json"),
        (
            ("orpo", *BANDIT, "--output", "text.json"),
            "text.json is there already: remove it, or choose another",
        ),
        (("orpo", *BANDIT, "--name", "cpo"), "--name cpo: an objective is registered under this name"),
        (("orpo", *BANDIT, "--name", "Polly"), "--name Polly: name='Polly': string should match pattern"),
        (("nan", *BANDIT), "nan cannot be distilled: its gradient is not finite at"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("cache")
def test_bad_requests_are_one_line(args: tuple[str, ...], line: str) -> None:
    Path("text.json").write_text("text")
    with pytest.raises(RequestError) as refusal:
        distil(*args)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert [file.name for file in Path().iterdir()] == ["text.json"]
    assert Path("text.json").read_text() == "text"


@pytest.mark.usefixtures("cache")
def test_a_mistake_in_an_objective_names_its_plugin() -> None:
    with pytest.raises(
        PluginError, match=r"^objective 'raises' of faulty_plugin 1\.0 cannot be distilled: .*such"
    ):
        distil("raises", *BANDIT)


@pytest.mark.usefixtures("cache")
def test_a_damaged_file_is_refused(network: Path) -> None:
    tensors = network.with_suffix(".safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(RequestError, match="is not the file that it was saved with"):
        distil(str(network))
    card = json.loads(network.read_text())
    network.write_text(json.dumps(card | {"tensors": None, "provenance": {"scale": "huge"}}))
    with pytest.raises(RequestError, match="its provenance has scale 'huge': give --scale smoke"):
        distil(str(network))


def _range(file: Path) -> str:
    fields = read_objective_file(file).card.fields
    return f"[{fields['low']:.4g}, {fields['high']:.4g}]".replace("-", "−")


def test_the_program_distils_and_runs_what_it_wrote(invoke: Run, network: Path, tmp_path: Path) -> None:
    cubic = tmp_path / "cubic.json"
    args = ("discover", "distil", str(network), "--degree", "3", "--output", str(cubic), "--name", "cubic")
    done = invoke(*args)
    assert done.returncode == 0, done.stderr
    assert "pairs of bandit, noisy:0.2, seed 0, smoke: found in" in done.stderr
    assert done.stdout.endswith(f",  d = log π_w − log π_l in {_range(cubic)}\n{cubic}\n")
    run = ("run", "--envs", "bandit", "--objectives", str(cubic), "--seeds", "1", "--scale", "smoke")
    ran = invoke(*run, "--launcher", "in-turn", "--results", str(tmp_path / "results"))
    assert ran.returncode == 0, ran.stderr
    assert "cubic" in ran.stdout
