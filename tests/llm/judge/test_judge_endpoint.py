"""What endpoints refuse, what is sent to them, and where keys go: nowhere else."""

from __future__ import annotations

import json
import socket
import traceback

import pytest
from judge_samples import FixedAnswers, answers, judge
from judge_servers import Response, Server, by_formula, error, preference, text

from mpobench import RequestError, Workspace

ENV, OWN = FixedAnswers(), answers(seed_quality=1.0)
KEY = "sk-Zq8vSecretSecret0000"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "cache")


def kept(workspace):
    """All that is in the cache."""
    return "".join(path.read_text() for path in workspace.cache.rglob("*") if path.is_file())


def failure(url, tmp_path, workspace, **fields):
    with pytest.raises(RequestError) as caught:
        judge(url, tmp_path, **fields).evaluate(ENV, OWN, 0, "smoke", workspace)
    message = str(caught.value)
    assert "\n" not in message
    assert KEY not in "".join(traceback.format_exception(caught.value)), "runs show it with --debug"
    return message


def test_an_unauthorized_key_ends_the_evaluation_and_is_never_shown(tmp_path, workspace, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", f" {KEY}\n")
    with Server(lambda request: error(401, f"Incorrect API key provided: {KEY}.")) as server:
        message = failure(server.url, tmp_path, workspace, key_variable="JUDGE_KEY", concurrency=1)
        assert len(server.requests) == 1
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "JUDGE_KEY" in message
    assert "HTTP 401" in message
    assert "Incorrect API key provided: …" in message
    assert KEY not in message + kept(workspace)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no model \n by the name\tscripted"}},
        {"error": "no model by the name scripted"},
        {"detail": "no model by the name scripted"},
        {"object": "error", "message": "no model by the name scripted", "code": 404},
    ],
)
def test_other_refusals_end_it_with_the_servers_words(tmp_path, workspace, body):
    with Server(lambda request: Response(json.dumps(body).encode(), 404)) as server:
        message = failure(server.url, tmp_path, workspace, concurrency=1)
        assert len(server.requests) == 1
    assert message == f"judge scripted at {server.url}: HTTP 404: no model by the name scripted"
    assert not list(workspace.cache.rglob("*.jsonl"))


def test_a_server_that_is_not_there(tmp_path, workspace):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    message = failure(url, tmp_path, workspace, retries=1)
    assert url in message
    assert "not reached, 2 times in a row" in message
    assert not list(workspace.cache.rglob("*.jsonl")), "nothing counts as a tie"


def test_a_server_that_never_answers(tmp_path, workspace):
    with Server(lambda request: Response(b"", after=3600)) as server:
        message = failure(server.url, tmp_path, workspace, retries=1, timeout=0.3)
    assert "no answer within 0.3 s, 2 times in a row" in message


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_failures_that_last_are_told_after_the_retries(tmp_path, workspace, status):
    with Server(lambda request: error(status, "later")) as server:
        message = failure(server.url, tmp_path, workspace, retries=1, concurrency=1)
        assert len(server.requests) == 2
        assert server.requests[1].at - server.requests[0].at > 0.3, "it waits in between"
    assert f"HTTP {status} after up to 1 retries: later" in message


def test_what_was_heard_before_a_failure_is_kept(tmp_path, workspace):
    def until_the_fifth(request):
        return by_formula(request) if len(server.requests) < 5 else error(403, "quota")

    with Server(until_the_fifth) as server:
        failure(server.url, tmp_path, workspace, concurrency=1)
    with Server(by_formula) as server:
        judge(server.url, tmp_path).evaluate(ENV, OWN, 0, "smoke", workspace)
        assert len(server.requests) == 12 - 4


@pytest.mark.parametrize("given", [None, KEY])
def test_a_key_goes_to_no_endpoint_that_it_is_not_for(tmp_path, workspace, monkeypatch, given):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    if given:
        monkeypatch.setenv("LOCAL_KEY", given)
    else:
        monkeypatch.delenv("LOCAL_KEY", raising=False)
    with Server(by_formula) as server:
        judge(server.url, tmp_path, key_variable="LOCAL_KEY").evaluate(ENV, OWN, 0, "smoke", workspace)
    sent = {request.headers.get("authorization") for request in server.requests}
    assert sent == {f"Bearer {given}" if given else None}
    assert KEY not in kept(workspace)


def test_a_key_that_no_header_can_hold(tmp_path, workspace, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n{KEY}")
    with Server(by_formula) as server:
        message = failure(server.url, tmp_path, workspace)
        assert not server.requests
    assert "OPENAI_API_KEY" in message
    assert KEY not in message


def no_logprobs(request):
    if "logprobs" in request.body:
        return error(400, "'logprobs' is not supported with this model")
    return text("m" if preference(request.prompt) > 0.5 else "M")


def test_an_endpoint_that_refuses_logprobs_is_read_by_its_text(tmp_path, workspace):
    with Server(no_logprobs) as server:
        score = judge(server.url, tmp_path, concurrency=1).evaluate(ENV, OWN, 0, "smoke", workspace)
        assert len(server.requests) == 13, "it is offered them once"
    assert score["undecided"] == 0
    assert score["win_rate"] == 50


@pytest.mark.parametrize("respond", [no_logprobs, lambda request: text("m")])
def test_where_logprobs_are_demanded_their_absence_is_an_error(tmp_path, workspace, respond):
    with Server(respond) as server:
        message = failure(server.url, tmp_path, workspace, verdict="logprob")
    assert "log" in message
    assert server.url in message
    assert not list(workspace.cache.rglob("*.jsonl"))


def test_models_that_count_their_tokens_by_another_name(tmp_path, workspace):
    def thinking(request):
        if "max_tokens" in request.body:
            return error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        assert request.body["max_completion_tokens"] == 8
        return no_logprobs(request)

    with Server(thinking) as server:
        judge(server.url, tmp_path, concurrency=1).evaluate(ENV, OWN, 0, "smoke", workspace)
        assert len(server.requests) == 14


def test_a_server_whose_pages_are_no_replies_gives_no_score(tmp_path, workspace, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with Server(lambda request: Response(f"<html>{KEY}</html>".encode())) as server:
        message = failure(server.url, tmp_path, workspace)
        assert len(server.requests) == 3 * 12
    assert "<html>…</html>" in message
    assert not list(workspace.cache.rglob("*.jsonl")), "what was no reply is no verdict"
