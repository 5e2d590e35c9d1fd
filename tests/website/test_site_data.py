"""What the pages say: numbers against the records, commands against plans, files against each other."""

from __future__ import annotations

import base64
import html
import itertools
import json
import math
import random
import re
import shlex
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Cli
from test_leaderboard import cell
from website_samples import PUBLISHED, board_folder, make_site, results, rolling_ball

from mpobench.errors import RequestError
from mpobench.leaderboard.page import Leaderboard
from mpobench.leaderboard.standings import standings
from mpobench.planning.tuned_file import TunedFile
from mpobench.registry.registry import Registry
from mpobench.results.store import read_results, write_jsonl
from mpobench_site import vendored
from mpobench_site.again import Commands
from mpobench_site.boards import Board, find_boards
from mpobench_site.digits import short
from mpobench_site.field_data import ARROWS, CELLS, documented, field_data
from mpobench_site.film_data import viewer_system
from mpobench_site.index_data import card_of
from mpobench_site.section_data import section_data


def data_of(script: Path) -> Any:
    """The value that a data script sets."""
    found = re.fullmatch(r"window\.\w+ = JSON\.parse\('(.*)'\);\n", script.read_text())
    assert found
    return json.loads(found[1].replace("\\'", "'").replace("\\\\", "\\"))


def test_numbers_are_those_of_the_records(published: Path) -> None:
    (section,) = data_of(published / "data" / "tla.js")["sections"]
    records = read_results(PUBLISHED / "tla.jsonl")
    assert len(section["entries"]) == len({(record.objective, record.corruption) for record in records})
    for entry in section["entries"]:
        place = section["rows"][entry["row"]]["label"], section["columns"][entry["column"]]["name"]
        mine = sorted((r for r in records if (r.objective, r.corruption) == place), key=lambda r: r.seed)
        returns = [record.metrics["return"] for record in mine]
        assert entry["mean"] == pytest.approx(statistics.fmean(returns), rel=1e-4)
        assert entry["error"] == pytest.approx(statistics.stdev(returns) / len(returns) ** 0.5, rel=1e-4)
        low, high = entry["interval"]
        assert low < entry["mean"] < high
        assert [each[0] for each in entry["cells"]] == [record.seed for record in mine]
        assert [each[4] for each in entry["cells"]] == [record.key for record in mine]
        assert [each[2][0] for each in entry["cells"]] == pytest.approx(returns, rel=1e-5)
        assert entry["config"] == mine[0].config
    curve = next(each for each in section["curves"]["series"] if (each["row"], each["column"]) == (0, 0))
    first = section["rows"][0]["label"], section["columns"][0]["name"]
    losses = [r.curves["loss"][3] for r in records if (r.objective, r.corruption) == first]
    assert curve["values"][section["curves"]["quantities"].index("loss")][0][3] == pytest.approx(
        statistics.fmean(losses), rel=1e-3
    )


def test_columns_know_their_noise(published: Path) -> None:
    (section,) = data_of(published / "data" / "hopper.js")["sections"]
    assert [(c["noise"], c["besides"]) for c in section["columns"]] == [
        (0.0, "base"), (0.0, "mixed"), (0.1, "base"),
    ]  # fmt: skip
    (section,) = data_of(published / "data" / "tla.js")["sections"]
    assert [(c["noise"], c["besides"]) for c in section["columns"]] == [
        (0.0, "base"), (0.0, "bad-judge:1000"), (0.0, "mixed"), (0.1, "base"), (0.2, "base"), (0.3, "base"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("corruption", "besides"),
    [
        ("noisy:0.1+noisy:0.2", "base"),
        ("mixed+noisy:0.1+noisy:0.3+noisy:0.2", "mixed"),
        ("noisy:1+noisy:0.3", "base"),
    ],
)
def test_noises_together_flip_a_label_where_an_odd_number_does(
    corruption: str, besides: str, registry: Registry
) -> None:
    (section,) = standings([cell("dpo", corruption)])
    (column,) = section_data(section, Commands(None, registry))["columns"]
    shares = [float(share) for share in re.findall(r"noisy:([\d.]+)", corruption)]
    flipped = sum(
        math.prod(share if flip else 1 - share for share, flip in zip(shares, flips, strict=True))
        for flips in itertools.product((0, 1), repeat=len(shares))
        if sum(flips) % 2
    )
    assert column["noise"] == pytest.approx(flipped)
    assert column["besides"] == besides


def test_versions_of_a_page_are_in_their_order(tmp_path: Path) -> None:
    versions = ("0.10.0", "0.9.2", "0.9.10")
    made = [cell("dpo", seed=seed, versions={"jax": version}) for seed, version in enumerate(versions)]
    write_jsonl(made, tmp_path / "mine.jsonl")
    make_site([tmp_path], tmp_path / "site")
    assert "jax&nbsp;0.9.2, 0.9.10, 0.10.0" in (tmp_path / "site" / "mine.html").read_text()


def test_survivors_do_not_compete_in_the_picture_of_a_leaderboard() -> None:
    whole = [cell("dpo", seed=seed, value=1500.0 + seed) for seed in (0, 1)]
    lost = [cell("ipo", seed=0, value=9000.0), cell("ipo", seed=1, status="error", reason="no memory")]
    records = [*whole, *lost]
    board = Board("mine", Path("mine.jsonl"), records, None, (), [], [])
    picture = card_of(board, standings(records))["picture"]
    assert [bar["label"] for bar in picture["bars"]] == ["dpo"]
    assert card_of(board, standings(lost))["picture"] is None


@pytest.mark.parametrize("board", ["tla", "hopper", "discovered", "quick"])
def test_each_number_has_a_command_whose_plan_has_its_cells(published: Path, board: str) -> None:
    for section in data_of(published / "data" / f"{board}.js")["sections"]:
        for entry in section["entries"]:
            assert entry["command"].startswith("mpobench run ")
            assert not entry["unproven"]
            assert entry["planned"] == (board != "quick"), "quick has no suite: made from its records"


@pytest.mark.parametrize("board", ["tla", "quick"])
def test_commands_plan_the_cells_when_they_are_given(
    published: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, board: str
) -> None:
    monkeypatch.chdir(PUBLISHED.parent)
    (section,) = data_of(published / "data" / f"{board}.js")["sections"]
    for entry in random.Random(0).sample(section["entries"], 3):
        planned = cli(*shlex.split(entry["command"])[1:], "--dry-run").stdout
        assert {each[4] for each in entry["cells"]} <= set(planned.split())


def test_the_same_results_give_the_same_files(tmp_path: Path) -> None:
    shuffled = results()
    random.Random(1).shuffle(shuffled)
    for name, cells in (("a", results()), ("b", shuffled)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "good.jsonl").write_bytes(b"".join(each.to_json() + b"\n" for each in cells))
        make_site([tmp_path / name], tmp_path / f"site-{name}")
    files = sorted(path.relative_to(tmp_path / "site-a") for path in (tmp_path / "site-a").rglob("*.*"))
    assert Path("data/good.js") in files
    for file in files:
        assert (tmp_path / "site-a" / file).read_bytes() == (tmp_path / "site-b" / file).read_bytes(), file


def test_a_leaderboard_is_small(published: Path) -> None:
    shared = sum(file.stat().st_size for file in (published / "assets").iterdir())
    assert shared < 2_000_000
    for page in published.glob("*.html"):
        own = [page, *(published / "data").glob(f"{page.stem}.js")]
        assert shared + sum(file.stat().st_size for file in own) < 2_500_000, page
    # Ten seconds of three ants, the largest films, are 300 kB: far below what is left of 5 MB.
    frame = len(json.dumps(viewer_system(rolling_ball(200)))) / 200
    assert 9 * 3 * 250 * frame < 2_000_000


def test_places_without_results_are_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"has no \.jsonl file and is no results folder"):
        find_boards([tmp_path])
    with pytest.raises(RequestError, match="no results at"):
        find_boards([tmp_path / "nowhere.jsonl"])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_jsonl([cell("dpo")], tmp_path / folder / "same.jsonl")
    with pytest.raises(RequestError, match=r"would both be same\.html"):
        find_boards([tmp_path / "a", tmp_path / "b"])


def test_a_damaged_line_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    write_jsonl([cell("dpo")], tmp_path / "torn.jsonl")
    with (tmp_path / "torn.jsonl").open("a") as file:
        file.write('{"format": "mpo')
    notes = make_site([tmp_path], tmp_path / "site")
    assert len(notes) == 1
    assert "line 2 is truncated" in notes[0]
    assert (tmp_path / "site" / "torn.html").exists()


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    monkeypatch.setattr(vendored, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"jupyter-threejs-sage.*pip install 'mpobench\[site\]'"):
        vendored.require_libraries()


def test_tunings_beside_a_leaderboard_are_its_budgets(tmp_path: Path) -> None:
    make_site([board_folder(tmp_path / "boards")], tmp_path / "site")
    by_env = {s["env"]: s["budget"] for s in data_of(tmp_path / "site" / "data" / "good.js")["sections"]}
    assert [(curve["objective"], curve["scale"]) for curve in by_env["tla"]] == [
        ("dpo", "quick"), ("sft", "quick"), ("sft", "quick, sampled-return"),
    ]  # fmt: skip
    assert by_env["tla"][0]["points"] == [
        [1, 0, -20, 20],
        [2, 100, 80, None],
        [4, 200, 180, None],
        [8, 300, 280, None],
    ]
    assert by_env["hopper"] == []


def test_tuned_values_beside_a_leaderboard_are_told_as_on_its_page(published: Path) -> None:
    records, tunings = (
        read_results(PUBLISHED / "tla.jsonl"),
        TunedFile.read(PUBLISHED / "tla.tuned.toml").tuned,
    )
    blocks = Leaderboard.of(records, tunings).terminal().split("\n\n")
    (section,) = data_of(published / "data" / "tla.js")["sections"]
    assert section["tuned"] == [line for line in blocks if line.startswith("Tuned for")] != []
    assert section["tuned"][0] in html.unescape((published / "tla.html").read_text())
    (section,) = data_of(published / "data" / "quick.js")["sections"]
    assert section["tuned"] == [], "its suite names no tuned values"


def test_a_tuned_file_beside_results_counts_unless_their_suite_names_none(tmp_path: Path) -> None:
    write_jsonl(results(), tmp_path / "mine.jsonl")
    assert find_boards([tmp_path])[0].tunings == ()
    (tmp_path / "mine.tuned.toml").write_bytes((PUBLISHED / "tla.tuned.toml").read_bytes())
    tunings = TunedFile.read(PUBLISHED / "tla.tuned.toml").tuned
    assert find_boards([tmp_path])[0].tunings == tunings != ()
    for named, expected in (("", ()), ('tuned = "mine.tuned.toml"', tunings)):
        (tmp_path / "mine.toml").write_text(f'objectives = "sft"\n{named}\n')
        assert find_boards([tmp_path])[0].tunings == expected
    (tmp_path / "mine.tuned.toml").rename(tmp_path / "shared.tuned.toml")
    (tmp_path / "mine.toml").write_text('objectives = "sft"\ntuned = "elsewhere/shared.tuned.toml"\n')
    assert find_boards([tmp_path])[0].tunings == tunings, "beside the suite, as in a copy of the folder"


def test_means_of_survivors_are_marked_in_words(tmp_path: Path) -> None:
    make_site([board_folder(tmp_path / "boards")], tmp_path / "site")
    for section in data_of(tmp_path / "site" / "data" / "good.js")["sections"]:
        notes = {section["rows"][e["row"]]["label"]: e["note"] for e in section["entries"]}
        assert notes == {"dpo": "", "sft": "", "tampo": "2 of 3 seeds finished (diverged)"}
    assert "† are means over the seeds that finished" in (tmp_path / "site" / "good.html").read_text()
    write_jsonl([each for each in results() if each.status == "ok"], tmp_path / "whole.jsonl")
    make_site([tmp_path / "whole.jsonl"], tmp_path / "site")
    assert "†" not in (tmp_path / "site" / "whole.html").read_text()


def test_fields_are_those_of_the_losses(registry: Registry) -> None:
    cells = [
        cell(name, curves={"logp_chosen": [-14.0, -8.0], "logp_rejected": [-8.0, -14.0]})
        for name in ("sft", "simpo", "nobody-has-it")
    ]
    (section,) = standings(cells)
    found = {each["label"]: each for each in field_data(section, registry)["objectives"]}
    (sft,) = found["sft"]["fields"]
    assert set(sft["angles"]) == {0.0}, "cloning raises the chosen side alone"
    assert set(base64.b64decode(sft["grid"])) == {255}
    assert sft["most"] == 1
    (simpo,) = found["simpo"]["fields"]
    assert {angle for angle in simpo["angles"] if angle is not None} == {-45.0}, "both sides, the same"
    grid = np.frombuffer(base64.b64decode(simpo["grid"]), np.uint8).reshape(CELLS, CELLS)
    assert grid[0, 0] == 255, "top left: the rejected side is far more probable"
    assert grid[-1, -1] < 10, "bottom right: the chosen side is"
    assert len(simpo["angles"]) == ARROWS**2
    assert found["sft"]["path"] == [(-14, -8), (-8, -14)]
    assert "nobody-has-it" in found["nobody-has-it"]["problem"]


def test_formula_and_paper_are_those_of_the_objective(registry: Registry) -> None:
    about = documented(registry.build("objective", "dpo:beta=0.3"))
    assert "−log σ(β Δ)" in about["text"][0]
    assert "arXiv:2305.18290" in about["references"]
    assert about["values"]["beta"] == 0.3
    assert not any("References" in part or "Attributes" in part for part in about["text"])


def test_numbers_are_short() -> None:
    assert [short(value) for value in (1.0, 0.123456789, 2586.769034, -1e-9, float("nan"), None)] == [
        1, 0.12346, 2586.8, -1e-9, None, None,
    ]  # fmt: skip
    assert isinstance(short(3.0), int)


def test_films_are_what_braxs_viewer_reads() -> None:
    system = viewer_system(rolling_ball(3))
    assert set(system) >= {"opt", "geoms", "states"}
    assert [geom["name"] for geom in system["geoms"]["ball"]] == ["Sphere", "Capsule"]
    assert system["geoms"]["world"][0]["link_idx"] == -1
    assert system["states"]["x"][2] == {"pos": [[0.2, 0.0, 0.3]], "rot": [[1.0, 0.0, 0.0, 0.0]]}
    assert system["opt"]["timestep"] == 0.1
