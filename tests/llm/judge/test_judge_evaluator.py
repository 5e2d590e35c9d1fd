"""From answers over a real HTTP server to metrics, against the formula by which that server judges."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from judge_samples import QUESTIONS, FixedAnswers, answers, judge
from judge_servers import (
    FAVOUR,
    FaultyProxy,
    Response,
    Server,
    by_formula,
    preference,
    sigmoid,
    text,
    weighed,
)

from mpobench import RequestError, Workspace
from mpobench_llm.generation import alpaca_eval
from mpobench_llm.generation.answer import Answer

ENV = FixedAnswers()
OWN = answers(seed_quality=1.0)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "cache")


def test_log_probabilities_in_both_orders_become_the_win_rate(tmp_path, workspace):
    with Server(by_formula) as server:
        score = judge(server.url, tmp_path).evaluate(ENV, OWN, 0, "smoke", workspace)
    # Every answer is better by 1 than the original's.
    expected = (sigmoid(1 + FAVOUR) + sigmoid(1 - FAVOUR)) / 2
    assert score["win_rate"] == pytest.approx(100 * expected, abs=1e-6)
    assert score["win_rate_stderr"] == pytest.approx(0, abs=1e-9)
    assert score["lc_win_rate"] == pytest.approx(100 * expected, abs=1e-3)
    assert score["length"] == np.mean([len(text) for text in OWN.values()])
    assert score["undecided"] == 0
    assert score["agreement"] == 0, "its favour for the first answer outweighs their difference"
    assert score.keys() == {metric.name for metric in judge("http://x", tmp_path).metrics}
    assert len(server.requests) == 2 * len(QUESTIONS)


def test_two_orders_agree_where_quality_outweighs_the_favour(tmp_path, workspace):
    qualities = [3.0, 0.0, 0.5, -3.0, 2.0, 1.0]  # against 0
    own = {each: f"quality {quality:g}" for each, quality in zip(QUESTIONS, qualities, strict=True)}
    outputs = tmp_path / "outputs.json"
    alpaca_eval.write_outputs(outputs, [Answer(each, "quality 0 base") for each in QUESTIONS], "base")
    with Server(by_formula) as server:
        score = judge(server.url, tmp_path, baseline=str(outputs)).evaluate(ENV, own, 0, "smoke", workspace)
    each = [(sigmoid(quality + FAVOUR) + sigmoid(quality - FAVOUR)) / 2 for quality in qualities]
    assert score["win_rate"] == pytest.approx(100 * np.mean(each), abs=1e-6)
    assert score["win_rate_stderr"] == pytest.approx(100 * np.std(each, ddof=1) / np.sqrt(6), abs=1e-6)
    assert score["agreement"] == pytest.approx(100 * 3 / 6)


@pytest.mark.parametrize("mode", ["parsed", "auto"])
def test_verdicts_in_text(tmp_path, workspace, mode):
    def by_text(request):
        assert ("logprobs" in request.body) == (mode == "auto")
        return text("**m**" if preference(request.prompt) > 0.5 else "Model M.")

    with Server(by_text) as server:
        score = judge(server.url, tmp_path, verdict=mode).evaluate(ENV, OWN, 0, "smoke", workspace)
    assert score["win_rate"] == 50, "the first answer always wins"
    assert score["agreement"] == 0


def test_equal_answers_are_a_tie_that_nobody_is_asked_about(tmp_path, workspace):
    with Server(by_formula) as server:
        score = judge(server.url, tmp_path).evaluate(ENV, ENV.original(), 0, "smoke", workspace)
        assert not server.requests
    assert (score["win_rate"], score["lc_win_rate"], score["win_rate_stderr"]) == (50, 50, 0)
    assert (score["agreement"], score["undecided"]) == (100, 0)


def test_verdicts_that_stay_nonsense_are_ties_after_three_askings(tmp_path, workspace):
    vague = QUESTIONS[:2]

    def sometimes(request):
        return text("Hmm.") if request.prompt.split("|")[0] in vague else by_formula(request)

    with Server(sometimes) as server:
        score = judge(server.url, tmp_path).evaluate(ENV, OWN, 0, "smoke", workspace)
        assert len(server.requests) == 2 * 4 + 2 * 2 * 3
        again = judge(server.url, tmp_path).evaluate(ENV, OWN, 0, "smoke", workspace)
        assert again == score
        assert len(server.requests) == 2 * 4 + 2 * 2 * 3
    decided = (sigmoid(1 + FAVOUR) + sigmoid(1 - FAVOUR)) / 2
    assert score["win_rate"] == pytest.approx(100 * (4 * decided + 2 * 0.5) / 6, abs=1e-6)
    assert score["undecided"] == pytest.approx(100 * 4 / 12)


def test_a_judge_that_never_says_anything_readable_gives_no_score(tmp_path, workspace):
    with (
        Server(lambda request: text("What a fine day.")) as server,
        pytest.raises(RequestError, match=r"none of 12 verdicts of judge scripted .* 'What a fine day\.'"),
    ):
        judge(server.url, tmp_path).evaluate(ENV, OWN, 0, "smoke", workspace)


def test_faults_that_pass_change_nothing(tmp_path, workspace):
    faults = [
        "stall", "rate limit", "server error", "overloaded", "drop", "half a body", "no json", "no choices", "nonsense",
        "null",
    ]  # fmt: skip
    with FaultyProxy(by_formula, faults, stall=3600) as proxy:
        own = judge(proxy.url, tmp_path, timeout=15.0, retries=6)  # only the one that stalls waits for it
        score = own.evaluate(ENV, OWN, 0, "smoke", workspace)
        assert proxy.met[: len(faults)] == faults
        assert len(proxy.requests) == 12 + len(faults)
        assert own.evaluate(ENV, OWN, 0, "smoke", workspace) == score
        assert len(proxy.requests) == 12 + len(faults), "a second evaluation asks nothing"
    assert score["win_rate"] == pytest.approx(50 * (sigmoid(1 + FAVOUR) + sigmoid(1 - FAVOUR)), abs=1e-6)
    assert score["undecided"] == 0
    limited = next(
        prompt for prompt, fault in zip(_first_seen(proxy), faults, strict=False) if fault == "rate limit"
    )
    first, second = [request.at for request in proxy.requests if request.prompt == limited]
    assert second - first >= 1, "Retry-After is honoured: without it, half a second at most"


def _first_seen(server):
    return list(dict.fromkeys(request.prompt for request in server.requests))


def test_no_more_requests_are_under_way_than_allowed(tmp_path, workspace):
    three = threading.Barrier(3)

    def when_three_have_come(request):
        three.wait(timeout=60)
        return Response(by_formula(request).body, after=0.05)  # in which a fourth would come

    with Server(when_three_have_come) as server:
        judge(server.url, tmp_path, concurrency=3, timeout=120).evaluate(ENV, OWN, 0, "smoke", workspace)
        assert server.group_size == 3


def test_progress_covers_answers_and_verdicts(tmp_path):
    seen = []
    with Server(by_formula) as server:
        reporting = Workspace(tmp_path / "cache", lambda phase, fraction: seen.append((phase, fraction)))
        judge(server.url, tmp_path, concurrency=1).evaluate(ENV, OWN, 0, "smoke", reporting)
    assert {phase for phase, _ in seen} == {"evaluation"}
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 12
    assert fractions[-1] == 1


def test_instructions_of_ones_own_and_a_policy_as_baseline(tmp_path, workspace):
    asked = tmp_path / "asked.txt"
    asked.write_text("\n".join(QUESTIONS[:3]))
    policy = tmp_path / "policies" / "0123"
    policy.mkdir(parents=True)
    ENV.save_policy(answers(seed_quality=2.0), policy)
    (policy / "training.json").write_text("{}")
    with Server(by_formula) as server:
        own = judge(server.url, tmp_path, instructions=str(asked), baseline=str(policy))
        score = own.evaluate(ENV, OWN, 0, "smoke", workspace)
        assert len(server.requests) == 6
    expected = (sigmoid(-1 + FAVOUR) + sigmoid(-1 - FAVOUR)) / 2
    assert score["win_rate"] == pytest.approx(100 * expected, abs=1e-6)


def test_the_shipped_template_shows_all_and_keeps_braces(tmp_path, workspace):
    own = {each: f"{{output_2}} {{x}} of {each}" for each in QUESTIONS}
    with Server(lambda request: weighed(0.5)) as server:
        judge(server.url, tmp_path, template=None).evaluate(ENV, own, 0, "smoke", workspace)
    shown = [
        [text in request.prompt for text in (f"\n{each}\n", own[each], ENV.original()[each])]
        for request in server.requests
        for each in QUESTIONS
        if own[each] in request.prompt
    ]
    assert shown == [[True] * 3] * 12
    assert {(request.body["temperature"], request.body["max_tokens"]) for request in server.requests} == {
        (0, 8)
    }


def test_planning_imports_nothing_heavy(tmp_path):
    outputs = tmp_path / "outputs.json"
    alpaca_eval.write_outputs(outputs, [Answer("a", "b"), Answer("c", "d")], "base")
    program = f"""
import sys
sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
from judge_samples import FixedAnswers
from mpobench_llm.judge.evaluator import Judge
own = Judge(url="http://127.0.0.1:1/v1", model="x", baseline={str(outputs)!r}, instructions={str(outputs)!r})
own.config(FixedAnswers(), "smoke")
heavy = {{"torch", "transformers", "openai", "statsmodels", "httpx", "httpx2", "scipy", "pandas"}}
print(sorted(heavy & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_key_of_a_result_knows_the_content_of_files(tmp_path):
    outputs, asked, policy = tmp_path / "outputs.json", tmp_path / "asked.jsonl", tmp_path / "policy"
    policy.mkdir()
    (policy / "policy.json").write_text("{}")
    (policy / "training.json").write_text("{}")

    def write(output):
        alpaca_eval.write_outputs(outputs, [Answer("a", output), Answer("c", "d")], "base")
        asked.write_text("".join(json.dumps({"instruction": each}) + "\n" for each in "ac"))

    def config(**fields):
        return judge("http://x/v1", tmp_path, **fields).config(ENV, "smoke")

    write("b")
    plain = config()
    assert plain["answers"] == len(QUESTIONS)
    against = config(baseline=str(outputs), instructions=str(asked))
    assert against["answers"] == 2
    write("other")
    assert config(baseline=str(outputs), instructions=str(asked)) != against
    assert config(template=None) != plain
    trained = config(baseline=str(policy))
    (policy / "training.json").write_text('{"seconds": 3}')
    assert config(baseline=str(policy)) == trained
    (policy / "policy.json").write_text('{"a": "b"}')
    assert config(baseline=str(policy)) != trained


def test_an_environment_without_answers_is_refused(tmp_path, toys):
    task = toys.build("env", "task").component
    own = judge("http://x/v1", tmp_path)
    assert "has no answers to judge" in own.skip_reason(task)
    assert own.skip_reason(ENV) is None
