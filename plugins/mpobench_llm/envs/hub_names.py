"""Names of models and datasets: a place on this machine, or a commit on the hub.

A name on the hub stands for what its branch holds today. Planning asks the hub once which commit that is; the commit is
in the key and on the page, and nothing else is downloaded. Free of torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpobench import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.files.text import expanded
from mpobench_llm.file_digests import file_digest
from mpobench_llm.models.loading_errors import Kind, UnreachableError, explained

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject

FORMATS = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}
"""Reader of a dataset's file, by the end of its name."""

UNRESOLVED = "unresolved"
"""Stands for the commit in the keys of a plan that could not ask the hub; such a plan is never carried out."""

COMMIT = re.compile(r"[0-9a-f]{40}")
"""The name of a commit."""

_SECONDS = 10.0


@dataclass(frozen=True)
class Origin:
    """A model or dataset that was found.

    Attributes:
        name: Name as the user gave it, without a revision.
        local: Path on this machine, or None.
        revision: Commit on the hub; None for a path, and where the hub could not be asked.
        branch: Branch or tag that was asked for; None for a path, and for a commit.
        problem: The reason why it could not, in a line.
    """

    name: str
    local: Path | None = None
    revision: str | None = None
    branch: str | None = None
    problem: str = ""

    @property
    def location(self) -> str:
        """Argument of ``from_pretrained`` and ``load_dataset``: a path, or a name on the hub.

        Raises:
            RequestError: If the commit is not known: anything might be loaded.
        """
        if self.problem:
            raise RequestError(self.problem)
        return self.name if self.local is None else str(self.local)

    @property
    def identity(self) -> JsonObject:
        """Part of the key: name and commit on the hub, or the digests of local files, wherever they are."""
        if self.local is None:
            return {"name": self.name, "revision": self.revision or UNRESOLVED}
        path = self.local
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        return {str(file.relative_to(path)): file_digest(file) for file in files}


def check_path(name: str) -> None:
    """Refuses a name that can only be a path, and is none that exists.

    Raises:
        RequestError: If it cannot be a name on the hub, which has an owner and no more than one slash.
    """
    repository = name.partition("@")[0]
    pathlike = Path(name).suffix in FORMATS or name.startswith((".", "/", "~")) or repository.count("/") > 1
    if pathlike and not expanded(name).exists():
        raise RequestError(f"there is no file or folder {name}; check the path")


def find(name: str, kind: Kind) -> Origin:
    """Finds a model or dataset: a path if it exists, or else the commit of ``owner/name`` or ``owner/name@revision``.

    Args:
        name: Path, or name on the hub, with or without a branch, tag or commit.
        kind: Model or dataset.

    Raises:
        RequestError: If the hub refuses it, or it is no path that exists and no name.
    """
    path = expanded(name)
    if path.exists():
        return Origin(name, path)
    check_path(name)
    repository, _, revision = name.partition("@")
    if COMMIT.fullmatch(revision):
        return Origin(repository, revision=revision)
    from huggingface_hub import HfApi

    branch = revision or "main"
    try:
        with explained(repository, kind):
            info = HfApi().repo_info(repository, repo_type=kind, revision=branch, timeout=_SECONDS)
    except UnreachableError as error:
        try:
            cached = _reference(repository, kind, branch).read_text("utf-8").strip()
        except OSError:
            return Origin(repository, branch=branch, problem=str(error))
        return Origin(repository, revision=cached, branch=branch)
    return Origin(repository, revision=info.sha, branch=branch)


def remember(origin: Origin, kind: Kind) -> None:
    """Notes in the hub's cache which commit a branch was, once it is downloaded, for the time without the hub.

    huggingface_hub does so itself where a branch, not a commit, is downloaded.
    """
    if origin.branch is not None and origin.revision is not None:
        write_atomically(_reference(origin.name, kind, origin.branch), origin.revision)


def _reference(repository: str, kind: Kind, branch: str) -> Path:
    """The file in the hub's cache that holds the commit of a branch or tag."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=kind)
    return folder / "refs" / branch


def cached_file(origin: Origin, kind: Kind, name: str) -> Path | None:
    """A file of a model or dataset that is on this machine, in its folder or in the hub's cache."""
    if origin.local is not None:
        return origin.local / name
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(origin.name, name, revision=origin.revision, repo_type=kind)
    return Path(found) if isinstance(found, str) else None
