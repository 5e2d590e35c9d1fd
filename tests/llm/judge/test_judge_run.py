"""The judge in whole runs of the program: scores, failures, and no key in anything that they leave."""

from __future__ import annotations

import json
from pathlib import Path

import judge_plugin
import pytest
from judge_servers import FAVOUR, Server, by_formula, error, sigmoid

HERE = Path(__file__).parent
KEY = "sk-Zq8vSecretSecret0000"


@pytest.fixture
def run(mpobench_cli, install, tmp_path, monkeypatch):
    """Runs one cell against a server; returns what was printed, and the cell."""
    site = install("judge-plugin", Path(judge_plugin.__file__).read_text())
    template = tmp_path / "template.txt"
    template.write_text("{instruction}|{output_1}|{output_2}")
    monkeypatch.setenv("JUDGE_KEY", KEY)

    def command(server, *more):
        spec = f"tested-judge:url={server.url},model=scripted,key_variable=JUDGE_KEY,template={template},retries=0"
        done = mpobench_cli(
            "--debug", "run", "--envs", "fixed-answers", "--objectives", "dpo", "--corruptions", "base",
            "--scale", "smoke", "--seeds", "1", "--evaluators", spec, "--results", str(tmp_path / "results"), *more,
            path=(site, HERE), cache=tmp_path / "cache",
        )  # fmt: skip
        cells = [json.loads(path.read_text()) for path in (tmp_path / "results" / "cells").glob("*.json")]
        return done, cells

    return command


def left_behind(tmp_path):
    kept = [
        path for folder in ("results", "cache") for path in (tmp_path / folder).rglob("*") if path.is_file()
    ]
    assert kept
    return "".join(path.read_text(errors="replace") for path in kept)


def test_a_run_scores_fails_and_goes_on(run, tmp_path):
    with Server(lambda request: error(401, f"{KEY} is no key")) as server:
        done, (cell,) = run(server)
        assert cell["status"] == "error", done.stderr
        assert "JUDGE_KEY" in cell["reason"]
        assert KEY not in done.stdout + done.stderr + left_behind(tmp_path)
        server.respond = by_formula
        asked = len(server.requests)
        done, (cell,) = run(server, "--rerun", "errors")
        assert cell["status"] == "ok", cell["reason"]
        expected = (sigmoid(1 + FAVOUR) + sigmoid(1 - FAVOUR)) / 2
        assert cell["metrics"]["win_rate"] == pytest.approx(100 * expected, abs=1e-6)
        assert len(server.requests) - asked == 12
    assert KEY not in done.stdout + done.stderr + left_behind(tmp_path)
