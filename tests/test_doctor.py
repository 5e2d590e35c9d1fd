"""``mpobench doctor``: each check on a machine where it passes, and on one where it does not."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bandits_installed import bandits_in_turn
from clean_environment import in_environment, make_environment
from in_process import InTurn, installed, invoke

from mpobench import LauncherCard, Workers, hookimpl
from mpobench.cores import available_cores
from mpobench.doctor import devices, places, versions
from mpobench.doctor.finding import Finding
from mpobench.doctor.versions import constraints_file, read_constraints
from mpobench.registry.registry import Registry

ROOT = Path(__file__).parents[1]


def test_the_tested_set_is_read_as_pip_reads_it() -> None:
    text = constraints_file().read_text()
    assert text == (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    tested = read_constraints(text)
    assert len(tested) == len(lines)
    assert tested["ast-serialize"] == "0.13.1", "names are canonical"
    assert read_constraints("# a\n\nFoo.Bar==1.0  # why\nbaz\n") == {"foo-bar": "1.0"}


@pytest.mark.slow
def test_the_tested_set_is_in_the_installed_package(tmp_path: Path) -> None:
    programs = make_environment(tmp_path / "env")
    code = "from mpobench.doctor.versions import constraints_file; print(constraints_file().read_text())"
    told = in_environment(programs, "python", "-c", code)
    assert told.stdout.strip() == (ROOT / "constraints.txt").read_text().strip(), told.stderr


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Installed versions, which a test changes; requirements of mpobench itself, and of extras."""
    there = {
        "mpobench": "0.1.0", "alpha": "1.2", "beta": "2.0", "gamma": "3.0+cpu", "delta": "1.0", "zeta": "1.0",
    }  # fmt: skip
    required = [
        "alpha>=1",
        "Beta<3,>=2",
        'gamma>=3; extra == "llm"',
        'delta>=1; extra == "llm" or extra == "dev"',
        'mpobench[llm]; extra == "dev"',
        'only-dev>=1; extra == "dev"',
        'only-docs>=1; extra == "docs"',
        'old-python>=1; python_version < "3"',
        'old-extra>=1; extra == "llm" and python_version < "3"',
        'zeta>=1; (extra == "more" or extra == "llm") and python_version >= "3"',
    ]
    provided = Message()
    for extra in ("dev", "docs", "llm", "more"):
        provided["Provides-Extra"] = extra

    def version(name: str) -> str:
        found = {key.lower(): value for key, value in there.items()}
        if name.lower() not in found:
            raise versions.PackageNotFoundError(name)
        return found[name.lower()]

    monkeypatch.setattr(versions, "requires", lambda name: required)
    monkeypatch.setattr(versions, "metadata", lambda name: provided)
    monkeypatch.setattr(versions, "version", version)
    monkeypatch.setattr(
        versions,
        "read_constraints",
        lambda text: {"alpha": "1.2", "beta": "2.0", "gamma": "3.0", "delta": "1.0"},
    )
    return there


def told_of_versions() -> dict[str, tuple[str, str]]:
    return {each.what: (each.level, f"{each.found} {each.advice}") for each in versions.check_versions()}


def test_versions_that_are_the_tested_ones_are_fine(packages: dict[str, str]) -> None:
    told = told_of_versions()
    assert {level for level, _ in told.values()} == {"ok"}
    assert set(told) == {"python", "mpobench", "libraries", "extra llm", "extra more"}
    assert told["libraries"][1].startswith("Beta, alpha: in the tested versions")
    assert "delta, gamma, zeta:" in told["extra llm"][1], "the build is none of the version"
    assert told["extra more"][1].startswith("zeta:")


def test_other_versions_are_a_note_and_unfit_ones_are_broken(packages: dict[str, str]) -> None:
    packages.update(alpha="1.3", beta="3.1")
    told = told_of_versions()
    assert told["libraries"][0] == "note"
    assert "alpha 1.3 (tested: 1.2)" in told["libraries"][1]
    assert told["Beta"][0] == "broken"
    assert "3.1 is installed, and <3,>=2 is needed" in told["Beta"][1]
    assert "'Beta<3,>=2'" in told["Beta"][1]


def test_what_is_missing_is_broken_unless_it_is_of_an_extra(packages: dict[str, str]) -> None:
    del packages["alpha"], packages["gamma"]
    told = told_of_versions()
    assert told["alpha"][0] == "broken"
    assert told["extra llm"][0] == "note"
    assert "lacks gamma" in told["extra llm"][1]
    assert "'mpobench[llm]'" in told["extra llm"][1]
    del packages["delta"], packages["zeta"]
    assert "is not installed" in told_of_versions()["extra llm"][1]
    del packages["mpobench"]
    assert told_of_versions()["mpobench"][0] == "broken"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit('no such\\ndriver')", "driver"),
        ("import os; os._exit(9)", "exit code 9"),
        ("print('hello')", "it printed 'hello'"),
        ("while True: pass", "no answer after 0.5 s"),
        ("", "it printed ''"),
    ],
)
def test_a_probe_that_fails_is_one_line(code: str, reason: str) -> None:
    with pytest.raises(RuntimeError, match=f"^{reason}"):
        devices.ask(code, 0.5 if "while" in code else 60)


def test_a_probe_may_print_before_its_answer() -> None:
    assert devices.ask("print('warning'); print('{\"version\": 1}')") == {"version": 1}


def told(answer: Any, monkeypatch: pytest.MonkeyPatch, gpus: list[str] | None = None) -> Finding:
    def ask(code: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(devices, "ask", ask)
    monkeypatch.setattr(devices, "gpus", lambda: gpus or [])
    (finding,) = devices.check_library("jax")
    return finding


def test_the_devices_of_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    cpu = {"version": "0.9.2", "devices": ["cpu:0 cpu"], "accelerated": False}
    gpu = {"version": "0.9.2", "devices": ["gpu:0 H200"], "accelerated": True}
    assert told(cpu, monkeypatch) == Finding("ok", "jax", "0.9.2 sees cpu:0 cpu")
    assert told(gpu, monkeypatch, ["GPU 0: H200"]).level == "ok"
    unused = told(cpu, monkeypatch, ["GPU 0: H200"])
    assert unused.level == "note"
    assert "not the GPUs that nvidia-smi lists" in unused.found
    assert "pip install 'jax[cuda12]==0.9.2'" in unused.advice
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert told(cpu, monkeypatch, ["GPU 0: H200"]).level == "ok", "as the user wants it"
    broken = told(RuntimeError("no libcuda"), monkeypatch)
    assert (broken.level, broken.found) == ("broken", "does not start: no libcuda")


def test_the_real_jax_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = devices.check_library("jax")
    assert finding.level in ("ok", "note")
    assert " sees " in finding.found


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    assert [each.level for each in devices.check_library("jax")] == ["broken"]
    assert list(devices.check_library("torch")) == [], "its extra says so"


def test_the_cache_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    (fine,) = places.check_cache_folder()
    assert (fine.level, f"{tmp_path / 'cache'} has 0 B" in fine.found) == ("ok", True)
    monkeypatch.setattr(places.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    (full,) = places.check_cache_folder()
    assert (full.level, full.advice) == ("note", "mpobench clean removes what is old")
    assert "1.0 GB are free" in full.found
    (tmp_path / "file").touch()
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "file" / "cache"))
    (broken,) = places.check_cache_folder()
    assert (broken.level, "set MPOBENCH_CACHE" in broken.advice) == ("broken", True)


def test_the_results_folder_is_tried_and_never_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (absent,) = places.check_results_folder(tmp_path / "a" / "b")
    assert (absent.level, "does not exist yet, and can be made" in absent.found) == ("ok", True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "results").mkdir()
    (there,) = places.check_results_folder(tmp_path / "results")
    assert (there.level, "has 0 cells" in there.found) == ("ok", True)
    (tmp_path / "file").touch()
    (broken,) = places.check_results_folder(tmp_path / "file")
    assert broken.level == "broken"
    monkeypatch.setattr(places.os, "access", lambda *_: False)  # whoever runs the tests may be root
    (read_only,) = places.check_results_folder(tmp_path / "new")
    assert (read_only.level, f"{tmp_path} cannot be written" in read_only.found) == ("broken", True)


class Silent(InTurn):
    """A launcher whose workers raise."""

    @contextmanager
    def open(self, workers: int | None, report: Any) -> Iterator[Workers]:
        class Broken:
            def submit(self, *task: Any) -> Future[Any]:
                future: Future[Any] = Future()
                future.set_exception(OSError("no route to host"))
                return future

        yield Workers(Broken(), lambda: 1)  # type: ignore[arg-type]


@hookimpl
def mpobench_launchers() -> Iterator[LauncherCard]:
    yield LauncherCard(name="local", summary="As it should be", target="in_process:InTurn")
    yield LauncherCard(name="dask", summary="Silent", target=f"{__name__}:Silent")


def test_launchers_start_a_worker() -> None:
    registry = Registry.of_modules([(__import__(__name__), "launchers", "1.0")])
    local, dask = places.check_launchers(registry)
    assert local == Finding("ok", "launcher local", "a worker starts and answers")
    assert (dask.level, dask.found) == ("broken", "a worker does not answer: OSError: no route to host")


def test_broken_plugins_and_conflicts_are_told() -> None:
    module = __import__(__name__)
    twice = Registry.of_modules([(module, "one", "1.0"), (module, "two", "1.0")])
    assert [each.level for each in places.check_plugins(twice)] == ["broken", "broken"]
    (fine,) = places.check_plugins(Registry.of_modules([(module, "one", "1.0")]))
    assert (fine.level, "2 launchers" in fine.found) == ("ok", True)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address that answers 403."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_hub_is_asked_and_its_absence_is_no_fault(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    (answers,) = places.check_hub()
    assert (answers.level, "answers, without a token; gated models" in answers.found) == ("ok", True)
    monkeypatch.setenv("HF_TOKEN", "hf_very-secret")
    (known,) = places.check_hub()
    assert known.found.endswith("answers, with a token")
    assert "secret" not in str(known)
    for nowhere in ("http://127.0.0.1:9", "nonsense"):
        monkeypatch.setenv("HF_ENDPOINT", nowhere)
        (silent,) = places.check_hub()
        assert (silent.level, "does not answer" in silent.found) == ("note", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (offline,) = places.check_hub()
    assert (offline.level, "HF_HUB_OFFLINE is set" in offline.found) == ("ok", True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No library is started, and no hub asked."""
    cpu = {"version": "1", "devices": ["cpu"], "accelerated": False}
    monkeypatch.setattr(devices, "ask", lambda code: cpu)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    with installed(bandits_in_turn()):
        yield


def doctor(*args: str) -> subprocess.CompletedProcess[str]:
    return invoke("doctor", *args)


@pytest.mark.usefixtures("quick")
def test_the_exit_code_says_whether_something_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "requires", lambda name: [])
    done = doctor("--results", str(tmp_path / "results"))
    assert (done.returncode, "mpobench: nothing is broken" in done.stderr) == (0, True)
    assert all(line.split()[0] in ("ok", "note", "→") for line in done.stdout.splitlines())
    (tmp_path / "file").touch()
    done = doctor("--results", str(tmp_path / "file"), "--json")
    assert done.returncode == 1
    told = {each["what"]: each for each in json.loads(done.stdout)}
    assert told["results"]["level"] == "broken"
    assert told["results"]["advice"]
    assert told["plugins"]["level"] == "ok"


@pytest.mark.usefixtures("quick")
def test_a_check_that_fails_itself_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any) -> Iterator[Finding]:
        raise ZeroDivisionError("oh\nno")
        yield

    monkeypatch.setattr(places, "check_hub", fails)
    done = doctor()
    assert done.returncode == 1
    assert "broken  hub                  the check itself failed: ZeroDivisionError: oh no" in done.stdout


def test_gpus_are_those_that_the_driver_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1)'\necho 'GPU 1: NVIDIA H200 (UUID: GPU-2)'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.gpus() == ["GPU 0: NVIDIA H200", "GPU 1: NVIDIA H200"]
    assert [each.level for each in devices.check_machine()] == ["ok", "ok"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [each.level for each in devices.check_machine()] == ["ok", "note"]
    program.write_text("#!/bin/sh\nexit 9\n")
    assert devices.gpus() == []


def test_cores_are_counted_where_the_system_does_not_tell_which_a_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert available_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert available_cores() == os.cpu_count()
