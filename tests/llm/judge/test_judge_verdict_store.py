"""Verdicts on disk: what is asked again after a kill, a torn line, or by two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from judge_samples import FixedAnswers, answers, judge
from judge_servers import Response, Server, by_formula

from mpobench import RequestError, Workspace

ENV, OWN = FixedAnswers(), answers(seed_quality=1.0)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "cache")


def lines(workspace):
    (file,) = (workspace.cache / "verdicts").glob("*.jsonl")
    return file, [line for line in file.read_text().split("\n") if line]


def evaluate(url, tmp_path, workspace, own=OWN, **fields):
    return judge(url, tmp_path, **fields).evaluate(ENV, own, 0, "smoke", workspace)


def test_a_line_that_was_cut_short_is_asked_again_and_spoils_no_other(tmp_path, workspace):
    with Server(by_formula) as server:
        score = evaluate(server.url, tmp_path, workspace)
        file, written = lines(workspace)
        assert len(written) == 12
        file.write_bytes(file.read_bytes()[:-7])
        assert evaluate(server.url, tmp_path, workspace) == score
        assert len(server.requests) == 13
        assert len([line for line in lines(workspace)[1] if line.endswith("}")]) == 12
        assert evaluate(server.url, tmp_path, workspace) == score
        assert len(server.requests) == 13


@pytest.mark.parametrize(
    "damage",
    [
        '{"key": 3, "preference": 0.5}',
        '{"preference": 0.5}',
        "[]",
        "\x00\x00",
        '{"key": "KEY", "preference": 7}',
    ],
)
def test_other_damage_counts_as_missing(tmp_path, workspace, damage):
    with Server(by_formula) as server:
        score = evaluate(server.url, tmp_path, workspace)
        file, written = lines(workspace)
        damage = damage.replace("KEY", json.loads(written[0])["key"])
        file.write_text("\n".join([damage, *written[1:]]))
        assert evaluate(server.url, tmp_path, workspace) == score
        assert len(server.requests) == 13


def test_only_what_decides_a_verdict_tells_them_apart(tmp_path, workspace):
    with Server(by_formula) as server, Server(by_formula) as elsewhere:
        evaluate(server.url, tmp_path, workspace)
        evaluate(elsewhere.url, tmp_path, workspace, concurrency=1, timeout=5, retries=0)
        assert not elsewhere.requests, "the same model at another address"
        evaluate(elsewhere.url, tmp_path, workspace, model="other")
        assert len(elsewhere.requests) == 12
        evaluate(elsewhere.url, tmp_path, workspace, verdict="logprob")
        assert len(elsewhere.requests) == 24
        changed = dict(OWN) | {next(iter(OWN)): "quality 9"}
        evaluate(server.url, tmp_path, workspace, own=changed)
        assert len(server.requests) == 12 + 2, "one answer is another"
        (tmp_path / "t2.txt").write_text("{instruction}|{output_1}|{output_2}|")
        with pytest.raises(RequestError):
            evaluate(
                "http://127.0.0.1:9/v1", tmp_path, workspace, template=str(tmp_path / "t2.txt"), retries=0
            )


@pytest.mark.filterwarnings("ignore:Perfect separation")  # threads cannot silence warnings each for itself
def test_two_evaluations_at_once_pay_once(tmp_path, workspace):
    def slowly(request):
        return Response(by_formula(request).body, after=0.02)

    with Server(slowly) as server, ThreadPoolExecutor(3) as pool:
        own = judge(server.url, tmp_path)
        scores = list(pool.map(lambda _: own.evaluate(ENV, OWN, 0, "smoke", workspace), range(3)))
        assert len(server.requests) == 12
    assert scores[0] == scores[1] == scores[2]


PROGRAM = """
import sys
from pathlib import Path
url, tmp_path = sys.argv[1], Path(sys.argv[2])
from judge_samples import FixedAnswers, answers, judge
from mpobench import Workspace
judge(url, tmp_path, concurrency=2, timeout=600).evaluate(
    FixedAnswers(), answers(seed_quality=1.0), 0, "smoke", Workspace(tmp_path / "cache")
)
"""


def test_a_killed_process_loses_no_verdict_that_has_arrived(tmp_path, workspace):
    enough = threading.Event()

    def until_killed(request):
        if server.requests.index(request) >= 6:
            enough.set()
            return Response(b"", after=3600)
        return by_formula(request)

    with Server(until_killed) as server:
        here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, server.url, str(tmp_path)], env=here)
        try:
            assert enough.wait(300)
            deadline = time.monotonic() + 300
            while len(lines(workspace)[1]) < 6 and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert len(lines(workspace)[1]) == 6
    with Server(by_formula) as server:
        score = evaluate(server.url, tmp_path, workspace)
        assert len(server.requests) == 12 - 6
    assert score == evaluate("http://127.0.0.1:9/v1", tmp_path, Workspace(tmp_path / "cache"))


def test_a_cache_that_cannot_be_written_is_said(tmp_path, workspace):
    with Server(by_formula) as server:
        evaluate(server.url, tmp_path, workspace)
        file, _ = lines(workspace)
        file.unlink()
        file.symlink_to(tmp_path / "no" / "folder")
        with pytest.raises(RequestError, match="cannot write "):
            evaluate(server.url, tmp_path, workspace)
