"""HTTP servers of the tests: a judge that answers by a formula, and a proxy that fails on a schedule."""

from __future__ import annotations

import json
import math
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """What arrived."""

    prompt: str
    body: dict
    headers: dict[str, str]
    at: float


@dataclass(frozen=True)
class Response:
    """What to send: after a while, whole or in part."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    cut: int | None = None


class Server:
    """Answers chat completions while the context is open.

    Args:
        respond: what to send.
    """

    def __init__(self, respond: Callable[[Request], Response]) -> None:
        self.respond = respond
        self.requests: list[Request] = []
        self.group_size = 0
        self._busy, self._lock, self._closing = 0, threading.Lock(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                prompt = body["messages"][-1]["content"]
                request = Request(
                    prompt, body, {k.lower(): v for k, v in self.headers.items()}, time.monotonic()
                )
                with outer._lock:
                    outer.requests.append(request)
                    outer._busy += 1
                    outer.group_size = max(outer.group_size, outer._busy)
                try:
                    self._send(outer.respond(request))
                finally:
                    with outer._lock:
                        outer._busy -= 1

            def _send(self, response: Response) -> None:
                outer._closing.wait(response.after)
                try:
                    if response.cut != 0:
                        self.send_response(response.status)
                        for name, value in response.headers.items():
                            self.send_header(name, value)
                        self.send_header("content-type", "application/json")
                        self.send_header("content-length", str(len(response.body)))
                        self.end_headers()
                        self.wfile.write(response.body[: response.cut])
                        self.wfile.flush()
                    if response.cut is not None:
                        self.close_connection = True
                        self.connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # who asked has gone
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


def error(status: int, message: str, **headers: str) -> Response:
    """As OpenAI sends it."""
    return Response(json.dumps({"error": {"message": message, "type": "x"}}).encode(), status, headers)


def text(content: str | None) -> Response:
    """A reply without log-probabilities."""
    return Response(json.dumps({"choices": [{"index": 0, "message": {"content": content}}]}).encode())


def weighed(probability: float) -> Response:
    """A reply with this probability of m, a fifth of the mass on other tokens."""
    shares = {"m": 0.8 * probability, "M": 0.8 * (1 - probability), "The": 0.15, " ": 0.05}
    top = [
        {"token": token, "logprob": math.log(share), "bytes": None}
        for token, share in shares.items()
        if share
    ]
    top.sort(key=lambda each: -each["logprob"])
    place = {**top[0], "top_logprobs": top}
    choice = {"index": 0, "message": {"content": top[0]["token"]}, "logprobs": {"content": [place]}}
    return Response(json.dumps({"choices": [choice]}).encode())


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


FAVOUR = 1.5
"""Logits by which the scripted judge likes the first answer better, whatever it says."""


def preference(prompt: str) -> float:
    """By the qualities that the answers state, with a position bias."""
    _, first, second = prompt.split("|")
    quality = [float(re.search(r"quality (\S+)", each).group(1)) for each in (first, second)]
    return sigmoid(quality[0] - quality[1] + FAVOUR)


def by_formula(request: Request) -> Response:
    """A judge with log-probabilities."""
    return weighed(preference(request.prompt))


class FaultyProxy(Server):
    """Hands requests on; the k-th new body meets the k-th fault before, once.

    Args:
        upstream: a base URL, or a function that answers.
        faults: names of faults; ``none`` hands on at once, and so does what comes after the last.
        stall: seconds that a stalled request waits for nothing.
    """

    def __init__(
        self, upstream: str | Callable[[Request], Response], faults: Sequence[str], stall: float
    ) -> None:
        super().__init__(self._respond)
        self.forwarded = 0
        self.met: list[str] = []
        self._upstream, self._faults, self._stall = upstream, iter(faults), stall
        self._seen: set[str] = set()
        self._guard = threading.Lock()

    def _respond(self, request: Request) -> Response:
        with self._guard:
            fault = "none"
            if request.prompt not in self._seen:
                self._seen.add(request.prompt)
                fault = next(self._faults, "none")
                self.met.append(fault)
        whole = text("m")
        known = {
            "stall": Response(b"", cut=0, after=self._stall),
            "rate limit": error(429, "slow down", **{"retry-after": "1"}),
            "server error": error(500, "oops"),
            "overloaded": error(503, "busy"),
            "drop": Response(b"", cut=0),
            "half a body": Response(whole.body, cut=len(whole.body) // 2),
            "no json": Response(b"<html>maintenance</html>"),
            "no choices": Response(b'{"choices": []}'),
            "nonsense": text("I could not possibly say."),
            "null": text(None),
        }
        return known[fault] if fault != "none" else self._forward(request)

    def _forward(self, request: Request) -> Response:
        if callable(self._upstream):
            response = self._upstream(request)
        else:
            sent = urllib.request.Request(
                f"{self._upstream}/chat/completions",
                json.dumps(request.body).encode(),
                {"content-type": "application/json"},
            )
            try:
                with urllib.request.urlopen(sent, timeout=120) as reply:
                    response = Response(reply.read(), reply.status)
            except urllib.error.HTTPError as failure:
                response = Response(failure.read(), failure.code)
        with self._guard:
            self.forwarded += 1
        return response
