"""A real model behind a real OpenAI-compatible server, reached through a proxy that fails in every way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from judge_samples import FixedAnswers
from judge_servers import FaultyProxy

from mpobench import Workspace
from mpobench_llm.judge.evaluator import Judge
from mpobench_llm.judge.prompt import Question, fill, load_template
from mpobench_llm.judge.replies import Reply

GOOD = {
    "What is the capital of France?": "It is Paris.",
    "Name a color.": "Blue.",
    "Say hello.": "Hello there!",
    "What is two plus two?": "Two plus two is four.",
}
FAULTS = ["stall", "rate limit", "server error", "drop", "no json", "no choices", "nonsense", "half a body"]


class Chat(FixedAnswers):
    """Sense against nonsense."""

    def instructions(self, scale, workspace):
        return list(GOOD)

    def original(self):
        return "I like cake and trees a lot."


@pytest.fixture
def server(smollm):
    """``transformers serve`` with SmolLM2; its base URL and the name of the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, "-c", "from transformers.cli.transformers import main; main()"]
    command = [*program, "serve", smollm, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}/v1", str(smollm)
        finally:
            process.kill()


def _wait_for(address, process, seconds=600):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(address)


def ask_directly(url, model, prompt):
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": 8,
    }
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as reply:
        return json.load(reply)["choices"][0]["message"]["content"]


@pytest.mark.slow
def test_a_real_judge_through_a_faulty_line(server, tmp_path):
    url, model = server
    workspace = Workspace(tmp_path)
    with FaultyProxy(url, FAULTS, stall=3600) as proxy:
        own = Judge(url=proxy.url, model=model, timeout=45.0, retries=6, concurrency=2)
        score = own.evaluate(Chat(), GOOD, 0, "smoke", workspace)
        assert proxy.met == FAULTS
        assert proxy.forwarded >= 2 * len(GOOD)
        asked = len(proxy.requests)
        assert asked >= 2 * len(GOOD) + len(FAULTS)
        assert own.evaluate(Chat(), GOOD, 0, "smoke", workspace) == score
        assert len(proxy.requests) == asked, "a second evaluation asks nothing"
    assert score["undecided"] < 50, "SmolLM2 understands the shipped template, more often than not"
    assert 0 <= score["win_rate"] <= 100
    kept = [json.loads(line) for line in next(tmp_path.rglob("*.jsonl")).read_text().split("\n") if line]
    verdicts = {record["key"]: record["preference"] for record in kept}
    assert len(verdicts) == 2 * len(GOOD)
    first = Question(*next(iter(GOOD.items())), "I like cake and trees a lot.")
    said = ask_directly(url, model, fill(load_template(None), first))
    assert verdicts[first.key] == Reply(said).verdict("parsed"), said
