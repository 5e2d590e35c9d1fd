"""Folders that processes share, and those that they only seem to share."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from mpobench import RequestError
from mpobench.files import shared_folder
from mpobench.files.shared_folder import Probe

ANSWER = """
import sys
from pathlib import Path
from mpobench.files.shared_folder import Probe, answer
print(answer(Probe(Path(sys.argv[1]), sys.argv[2])))
"""


def test_another_process_answers(tmp_path: Path) -> None:
    with shared_folder.probe(tmp_path / "new") as probe:
        name = subprocess.run(
            [sys.executable, "-c", ANSWER, str(probe.folder), probe.token],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        shared_folder.confirm(probe, name)
        with pytest.raises(RequestError, match=r"does not see what nobody renamed in .*new"):
            shared_folder.confirm(probe, "nobody")
    assert list((tmp_path / "new").iterdir()) == []


def test_another_folder_is_named(tmp_path: Path) -> None:
    with (
        shared_folder.probe(tmp_path) as probe,
        pytest.raises(RequestError, match=r"does not see .* as this machine does"),
    ):
        shared_folder.answer(replace(probe, token="another"))


def test_locks_that_do_not_hold_are_named(tmp_path: Path) -> None:
    probe = Probe(tmp_path, "token")
    probe.place.mkdir()
    probe.question.write_text("token")
    with pytest.raises(RequestError, match=r"locks in .* do not hold between"):  # as where nobody holds one
        shared_folder.answer(probe)


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: filelock.FileLock) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    with shared_folder.probe(tmp_path) as probe:
        monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
        with pytest.raises(RequestError, match=r"cannot lock a file in .*support flock"):
            shared_folder.answer(probe)
