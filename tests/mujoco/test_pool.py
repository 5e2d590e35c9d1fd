"""The rollout pool: whole or absent, mapped into memory, and made once."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import numpy as np
import pytest

from mpobench.errors import DiskFullError
from mpobench_mujoco import pool

BLOCK = pool.AgentRollouts(
    np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    np.ones((2, 2, 4), np.float32),
    np.array([1.5, 2.5]),
    np.array([1.5, 3.5]),
    np.array([4, 3], np.int32),
    np.array([-8.0, -9.0], np.float32),
    np.array([-30.0, -20.0], np.float32),
)


def test_a_block_is_mapped_into_memory(tmp_path):
    folder = tmp_path / "rollouts" / "key"
    pool.write_block(folder, BLOCK)
    read = pool.read_block(folder)
    for name, array in vars(BLOCK).items():
        mapped = getattr(read, name)
        assert isinstance(mapped, np.memmap)
        assert not mapped.flags.writeable
        assert mapped.dtype == array.dtype
        np.testing.assert_array_equal(mapped, array)


@pytest.mark.parametrize("fails_at", range(4))
def test_a_block_is_whole_or_absent(tmp_path, monkeypatch, fails_at):
    folder, saved, save = tmp_path / "rollouts" / "key", [], np.save

    def full_disk(file, array, **options):
        assert not folder.exists()
        if len(saved) == fails_at:
            raise OSError(errno.ENOSPC, "no space left on device")
        saved.append(file)
        save(file, array, **options)

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(DiskFullError, match="the disk is full"):
        pool.write_block(folder, BLOCK)
    assert list(folder.parent.iterdir()) == []


RACER = """
import json, sys
from pathlib import Path
from mpobench import Workspace
from mpobench.registry.registry import get_registry
from mpobench_mujoco import data, rollouts
from mpobench_mujoco.configuration import Block

tla, calls, roll_out = get_registry().build("env", "tla").component, [], rollouts.roll_out

def counted(*args):
    calls.append(args)
    return roll_out(*args)

rollouts.roll_out = counted
wanted = Block("original", 0, 0, 8)
print("ready", flush=True)
sys.stdin.readline()
block = data.make_block(tla, wanted, Workspace(Path(sys.argv[1])))
print(json.dumps({"made": len(calls), "returns": block.returns.tolist()}))
"""


@pytest.mark.slow
def test_two_processes_at_once_roll_out_once(workspace, tla, tmp_path):
    (tmp_path / "xla").symlink_to(workspace.cache / "xla")  # what is compiled already need not be again
    command = [sys.executable, "-c", RACER, str(tmp_path)]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    first, second = (json.loads(racer.communicate()[0]) for racer in racers)
    assert [racer.returncode for racer in racers] == [0, 0]
    assert first["made"] + second["made"] == 1
    assert first["returns"] == second["returns"]
    assert len([path for path in (tmp_path / "rollouts").iterdir() if path.is_dir()]) == 1
