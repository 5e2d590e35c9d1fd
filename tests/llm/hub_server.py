"""A hub that answers as the real one does, and processes that ask it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_" + "s3cretS3cret" * 3
MANGLED = "s3cret☺s3cret"


@dataclass
class Repository:
    """A repository of the hub.

    Attributes:
        commits: Folder with the files of each commit.
        refs: Commit of each branch and tag.
    """

    commits: dict[str, Path]
    refs: dict[str, str]

    @classmethod
    def of(cls, files: Path, commit: str = COMMIT) -> Repository:
        """A repository of a single commit."""
        return cls({commit: files}, {"main": commit})


class Hub(BaseHTTPRequestHandler):
    """Answers as huggingface.co does: refusals by the owner's name, or what a repository holds."""

    refusals: ClassVar[dict[str, tuple[int, dict[str, str]]]] = {
        "missing": (401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
        "refused": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        "forbidden": (403, {"X-Error-Message": "Your token lacks the permission"}),
        "unrevised": (404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id: v9"}),
        "gone": (404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
        "busy": (429, {}),
        "broken": (
            500,
            {"X-Error-Message": "Internal Error - We're working hard to fix this as soon as possible!"},
        ),
    }

    def __init__(self, repositories: Mapping[str, Repository], asked: list[str], *arguments: Any):
        self.repositories, self.asked = repositories, asked
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""

    def answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        steps = [unquote(step) for step in urlsplit(self.path).path.strip("/").split("/")]
        api = steps[0] == "api"
        steps = [step for step in steps if step not in ("api", "datasets", "models")]
        owner, name, rest = steps[0], "/".join(steps[:2]), steps[2:]
        if owner == "silent":
            self.connection.close()
        elif owner == "gated":
            said = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this repository is restricted"}
            self.answer(403 if "Authorization" in self.headers else 401, said)
        elif owner in self.refusals:
            self.answer(*self.refusals[owner])
        elif name not in self.repositories:
            self.answer(*self.refusals["gone"])
        else:
            self.of_repository(name, api, rest)

    do_HEAD = do_POST = do_GET

    def of_repository(self, name: str, api: bool, rest: list[str]) -> None:
        """Answers from what a repository holds at the revision that is asked for."""
        repository = self.repositories[name]
        revision = rest[1] if len(rest) > 1 else "main"
        commit = repository.refs.get(revision, revision)
        files = repository.commits.get(commit)
        if files is None:
            self.answer(*self.refusals["unrevised"])
        elif api:
            said = self.tree(files, rest[2:]) if rest[:1] == ["tree"] else self.about(name, commit, files)
            self.answer(200, {"Content-Type": "application/json"}, json.dumps(said).encode())
        elif rest[:1] == ["resolve"] and (path := files / "/".join(rest[2:])).is_file():
            etag = hashlib.sha256(path.read_bytes()).hexdigest()
            self.answer(200, {"ETag": f'"{etag}"', "X-Repo-Commit": commit}, path.read_bytes())
        else:
            self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})

    def about(self, name: str, commit: str, files: Path) -> dict[str, Any]:
        """What the API says of a repository."""
        names = [path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()]
        siblings = [{"rfilename": name} for name in names]
        return {"id": name, "sha": commit, "siblings": siblings, "private": False}

    def tree(self, files: Path, folder: list[str]) -> list[dict[str, Any]]:
        """What the API says of what a folder holds."""
        return [
            {
                "type": "directory" if path.is_dir() else "file",
                "path": path.relative_to(files).as_posix(),
                "size": path.stat().st_size,
                "oid": COMMIT,
            }
            for path in files.joinpath(*folder).iterdir()
        ]


@contextmanager
def serving(repositories: Mapping[str, Repository], asked: list[str] | None = None) -> Iterator[str]:
    """A hub with some repositories; yields its address.

    Args:
        repositories: Repositories by name; changes count at once.
        asked: List to which the path of each request is added.
    """
    handler = partial(Hub, repositories, [] if asked is None else asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


CHILD = """
import json, sys, time
time.sleep = lambda seconds: None  # the libraries' retries, without the waiting
from mpobench import RequestError
from mpobench_llm.envs.hub_data import load_rows
from mpobench_llm.models.loading_errors import explained

def outcome(kind, name):
    try:
        if kind == "dataset":
            return [len(load_rows(name, split).pairs) for split in ("train", "test")]
        from transformers import AutoConfig, AutoTokenizer
        with explained(name):
            AutoTokenizer.from_pretrained(name)
            AutoConfig.from_pretrained(name)
    except RequestError as error:
        return str(error)

print(json.dumps([outcome(*each) for each in json.loads(sys.argv[1])]))
"""

Asked = tuple[str, str]
KINDS = ("dataset", "model")
REFUSED = [(kind, f"{owner}/x") for kind in KINDS for owner in ("gated", "silent", *Hub.refusals)]
REAL: Asked = ("dataset", "real/rows")
CLOSED = "http://127.0.0.1:9"


def hub_environment(home: Path, **variables: str) -> dict[str, str]:
    """Environment variables of a process that asks a hub of ours, with a cache of its own: they are read on import."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return {**kept, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **variables}


def ask(home: Path, asked: list[Asked], **variables: str) -> subprocess.Popen[str]:
    """Loads each (kind, name) in a process that has these environment variables."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(asked)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=hub_environment(home, **variables),
    )


def told(child: subprocess.Popen[str], asked: list[Asked]) -> dict[Asked, Any]:
    """What came of it; no token is in it."""
    out, errors = child.communicate()
    assert child.returncode == 0, errors
    assert TOKEN not in out + errors
    assert MANGLED not in out + errors
    return dict(zip(asked, json.loads(out.splitlines()[-1]), strict=True))
