"""Digests of texts and of policies, for keys."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mpobench import RequestError
from mpobench.results.policy_files import policy_files
from mpobench.results.store import ResultStore
from mpobench_llm.file_digests import file_digest

POLICY_FOLDER = ResultStore(Path("results")).policy_folder("KEY")
"""Example of a policy's folder, for help and errors."""


def text_digest(text: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def policy_digest(folder: Path) -> str:
    """SHA-256 of a policy: names and contents of its files, without the record of its training.

    Raises:
        RequestError: If there are none, or one cannot be read.
    """
    files = policy_files(folder)
    if not files:
        raise RequestError(f"baseline {folder}: an empty folder; a policy is in {POLICY_FOLDER}")
    try:
        entries = [(str(path.relative_to(folder)), file_digest(path)) for path in files]
    except OSError as error:
        raise RequestError(
            f"cannot read baseline {folder}: {(error.strerror or str(error)).lower()}"
        ) from error
    return text_digest(json.dumps(entries))
