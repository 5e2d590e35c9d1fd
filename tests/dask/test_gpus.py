"""GPUs are counted without a library, and shared out one a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpobench import RequestError
from mpobench_dask import gpus


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)'\n"
        "echo '  MIG 1g.10gb     Device  0: (UUID: MIG-1)'\n"
        "echo 'GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-2)'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)


@pytest.mark.usefixtures("two_gpus")
def test_one_worker_a_gpu() -> None:
    zero, one = {gpus.VISIBLE: "0"}, {gpus.VISIBLE: "1"}
    assert gpus.environments(None, None, cores=8) == [zero, one]
    assert gpus.environments(None, 1, cores=8) == [zero]
    assert gpus.environments(1, None, cores=8) == [zero]
    assert gpus.environments(0, None, cores=3) == [{gpus.VISIBLE: ""}] * 3
    with pytest.raises(RequestError, match="--workers 3, but 2 GPUs"):
        gpus.environments(None, 3, cores=8)
    with pytest.raises(RequestError, match="gpus=3, but this machine has 2"):
        gpus.environments(3, None, cores=8)


@pytest.mark.usefixtures("two_gpus")
def test_those_that_are_visible_already_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "3, GPU-77")
    assert gpus.environments(None, None, cores=8) == [{gpus.VISIBLE: "3"}, {gpus.VISIBLE: "GPU-77"}]
    monkeypatch.setenv(gpus.VISIBLE, "")
    assert gpus.environments(None, 4, cores=8) == [{}] * 4


def test_a_machine_without_gpus_has_a_worker_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    assert gpus.environments(None, None, cores=2) == [{}, {}]
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert gpus.visible() == []
