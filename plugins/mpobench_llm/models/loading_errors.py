"""Errors of loading a model or a dataset: one line with the cause and the next step.

huggingface_hub, datasets and transformers wrap each other's exceptions, and their texts span many lines. The cause is
some link of the chain, known by its type, its status code or its errno.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from mpobench import MpobenchError, RequestError
from mpobench.files.text import expanded

Kind: TypeAlias = Literal["model", "dataset"]

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_LOCAL = "give a local path: llm:model=DIR,dataset=DIR"
_PARTS = {
    "config.json": ("config.json", "adapter_config.json"),
    "tokenizer": ("tokenizer.json", "tokenizer.model", "vocab.json"),
    "safetensors": ("*.safetensors", "pytorch_model*.bin"),
}
"""Parts of a model's folder, and patterns of the files that serve as each."""

_WORDS = {
    "GatedRepoError": "is a gated dataset",
    "RevisionNotFoundError": "doesn't exist for dataset",
    "RepositoryNotFoundError": "doesn't exist on the Hub",
}
"""Words of a DatasetNotFoundError that tell its cause."""

_TOKEN = "set HF_TOKEN (or run `hf auth login`)"


class UnreachableError(RequestError):
    """No answer came from the hub, and what was asked for is not in its cache."""


@contextmanager
def explained(name: str, kind: Kind = "model") -> Iterator[None]:
    """Turns exceptions of the hub's libraries inside the block into one line for the user.

    The block must hold nothing but the loading: a damaged file may raise any kind of exception, so all kinds count as
    the libraries'. An :class:`~mpobench.MpobenchError` passes.

    Args:
        name: Name on the hub, or path, of the model or dataset that is loaded.
        kind: Model or dataset.

    Raises:
        UnreachableError: If the hub could not be asked; a kind of RequestError.
        RequestError: With ``name`` and the next step, and never a token. It hides the library's exception, whose text
            may hold one.
    """
    try:
        yield
    except MpobenchError:
        raise
    except Exception as error:  # noqa: BLE001
        message = _without_tokens(_explain(error, name, kind))
        raise (UnreachableError if message == _explain_offline(name) else RequestError)(message) from None


def _explain(error: BaseException, name: str, kind: Kind) -> str:
    chain = list(_chain(error))
    if any(isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT) for link in chain):
        return f"cannot store {name}: the disk is full; free some space, or set HF_HOME to a folder on another disk"
    if isinstance(error, ImportError):
        return f"cannot load {name}: {_first_line(error)}; install what is missing"
    path = expanded(name)
    for link in chain:
        if isinstance(link, OSError) and link.errno in _DENIED:
            if str(link.filename).startswith(str(path)):
                return f"cannot read {name}: permission denied; change its permissions"
            return f"cannot store {name}: permission denied; set HF_HOME to a folder that you may write to"
    if _exists(path):
        problem = _problem_of_model(path, chain) if kind == "model" else _problem_of_dataset(chain)
        return f"cannot load {name}: {problem}"
    return _explain_hub(chain, name, kind)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name
        return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and all that led to it, ``from None`` or not, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _problem_of_model(folder: Path, chain: list[BaseException]) -> str:
    import safetensors

    if not folder.is_dir():
        return "a model is a folder, not a file; give the folder that holds its config.json"
    for part, patterns in _PARTS.items():
        if not any(path for pattern in patterns for path in folder.glob(pattern)):
            return f"it has no {part}; give a folder with config.json, tokenizer.json and safetensors"
    if any(isinstance(link, safetensors.SafetensorError) for link in chain):
        return f"its weights are damaged ({_first_line(chain[0])}); copy or download them again"
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            return f"its {path.name} is damaged; copy or download it again"
    return f"{_first_line(chain[0])}; give a folder that transformers' from_pretrained can load"


def _problem_of_dataset(chain: list[BaseException]) -> str:
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError
    from datasets.table import CastError

    if any(isinstance(link, DataFilesNotFoundError | EmptyDatasetError) for link in chain):
        return "it holds no data; put .parquet, .json or .jsonl files there"
    if any(isinstance(link, CastError) for link in chain):
        return "its files have different columns; keep one dataset in a folder, or give one file"
    return f"{_reason(chain)}; it must be readable .parquet, .json or .jsonl, or what save_to_disk wrote"


def _explain_hub(chain: list[BaseException], name: str, kind: Kind) -> str:
    import safetensors
    from huggingface_hub import errors as hub

    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"
    sentences = {  # the first that fits: a gated repository is also one that was not found
        hub.GatedRepoError: f"{name} needs its licence accepted: open {page}, accept, then {_TOKEN}",
        hub.RevisionNotFoundError: f"{name} has no such revision; see {page}/commits/main for those that it has",
        hub.RepositoryNotFoundError: (
            f"the hub has no {kind} {name}, or it is private: check the name at {page}, or {_TOKEN}"
        ),
        hub.HFValidationError: (
            f"{name} is neither an existing path nor a name on the hub (owner/name); check its spelling"
        ),
        UnicodeEncodeError: f"the token for {name} holds characters that no token has: copy it again, then {_TOKEN}",
        safetensors.SafetensorError: (
            f"the downloaded weights of {name} are damaged: run `hf download --force-download {name}`"
        ),
    }
    for type_, sentence in sentences.items():
        if any(_fits(link, type_) for link in chain):
            return sentence
    if (status := _status(chain)) is not None:
        return _explain_status(status, name, page)
    if _unreachable(chain):
        return _explain_offline(name)
    return f"cannot load {name}: {_reason(chain)}; see {page}"


def _fits(error: BaseException, type_: type[BaseException]) -> bool:
    """Whether an error has that type, or is datasets' DatasetNotFoundError with its words: datasets drops the cause."""
    from datasets.exceptions import DatasetNotFoundError

    words = _WORDS.get(type_.__name__)
    return isinstance(error, type_) or (
        isinstance(error, DatasetNotFoundError) and words is not None and words in str(error)
    )


def _status(chain: list[BaseException]) -> int | None:
    """The status code of the hub's refusal, if any. 404 is none: optional files are asked for too."""
    from huggingface_hub.errors import HfHubHTTPError

    codes = (link.response.status_code for link in chain if isinstance(link, HfHubHTTPError))
    return next((code for code in codes if code != 404), None)


def _explain_status(status: int, name: str, page: str) -> str:
    settings = "https://huggingface.co/settings/tokens"
    sentences = {
        401: f"the hub refuses the token for {name}: make a new one at {settings}, then {_TOKEN}",
        403: f"the token may not read {name}: give it the permission at {settings}, or see {page}",
        429: f"the hub has had too many requests and did not give {name}: wait some minutes, or {_TOKEN}",
    }
    return sentences.get(status, f"the hub answers {status} for {name}: try again later, or {_LOCAL}")


def _unreachable(chain: list[BaseException]) -> bool:
    """Whether no answer came. The client, httpx or httpx2 by huggingface_hub's version, is known by its type's name."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    names = {type_.__name__ for link in chain for type_ in type(link).__mro__}
    return "TransportError" in names or any(
        isinstance(link, ConnectionError | LocalEntryNotFoundError) for link in chain
    )


def _explain_offline(name: str) -> str:
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        return f"{name} is not in the cache, and HF_HUB_OFFLINE forbids to ask the hub: unset it, or {_LOCAL}"
    return f"cannot reach the hub for {name}: connect, or {_LOCAL}"


def _reason(chain: list[BaseException]) -> str:
    """The library's own words. datasets says "an error occurred", and its cause says which."""
    from datasets.exceptions import DatasetGenerationError

    wrapped = isinstance(chain[0], DatasetGenerationError) and len(chain) > 1
    return _first_line(chain[1] if wrapped else chain[0])


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[0].rstrip(".:;") if lines else ""
    return (
        line
        if line and isinstance(error, OSError | ValueError | RuntimeError)
        else f"{type(error).__name__} {line}"
    )


def _without_tokens(message: str) -> str:
    """Replaces tokens of the hub, and signatures of addresses, in a message."""
    from huggingface_hub import get_token

    for token in {get_token(), os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN")} - {
        None,
        "",
    }:
        message = message.replace(str(token), "***")
    message = re.sub(r"\bhf_\w{8,}", "***", message)
    return re.sub(r"(https?://)([^/\s@]*@)?([^\s?]+)(\?\S+)?", r"\1\3", message)
