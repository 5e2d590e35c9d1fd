"""Notebooks: the tutorial as its readers run it, and the progress that they see."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from mpobench.display.notebook import bars_html

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def executed(notebook: Any, folder: Path) -> list[Any]:
    """The code cells of a notebook after a kernel has run them in a folder."""
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any, kind: str) -> list[str]:
    """The outputs of a cell in a MIME type."""
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(shared_cache))
    notebook = nbformat.read(TUTORIAL, as_version=4)
    cells = executed(notebook, tmp_path)
    for cell in cells:
        assert not [output for output in cell.outputs if output.output_type == "error"]
    _, plan, run, frame, pivot, plot, one = cells
    assert shown(plan, "text/plain") == ["(8, 'sft on tla base, seed 0')"]
    bars, leaderboard = shown(run, "text/html")
    assert re.findall(r"<td>(\d+) %</td>", bars) == ["100"] * bars.count("<progress")
    assert {"training", "evaluation"} <= set(re.findall(r'left">(.*?)</td>', bars))
    assert "<i>smoke</i> scale" in leaderboard
    assert frame.outputs[0].data["text/html"].count("<tr>") >= 8
    assert "noisy:0.3" in shown(pivot, "text/plain")[0]
    assert len(shown(plot, "image/png")) == 1
    assert "learning_rate" in shown(one, "text/plain")[0]
    for cell in cells:
        said = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        assert "Traceback" not in said
        assert "100 %" not in said


def test_the_tutorial_is_stored_without_outputs() -> None:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


PROGRESS = """
import sys, time
from mpobench.display.progress import Display
with Display({"rolls <b>": {"a": 1.0}, "training": {"b": 1.0, "c": 1.0}}) as display:
    display.finish("a", ["rolls <b>"])
    for task in "bc":
        for step in range(200):
            display.update(task, "training", step / 400)
        display.note(f"mpobench: warning: {task} is over")
    display.finish("b", ["training"])
"""


def test_progress_in_a_notebook_is_one_output_that_is_written_again(tmp_path: Path) -> None:
    began = time.monotonic()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PROGRESS)])
    (cell,) = executed(notebook, tmp_path)
    (bars,) = shown(cell, "text/html")
    assert re.findall(r"<td>(\d+) %</td>", bars) == ["100", "75"]
    assert '<td style="text-align:left">rolls &lt;b&gt;</td>' in bars
    said = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    assert said == "mpobench: warning: b is over\nmpobench: warning: c is over\n"
    assert time.monotonic() - began < 60


def test_bars_say_how_far_it_is() -> None:
    html = bars_html([("training", 0.256, "1:05 left")])
    assert 'value="0.2560" max="1"' in html
    assert "<td>26 %</td><td>1:05 left</td>" in html
