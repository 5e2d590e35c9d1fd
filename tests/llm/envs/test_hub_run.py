"""Any model on any dataset, as a user has it: a tiny model and a file of pairs, by the program."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_samples import dpo_mix
from processes import Run

from mpobench.results.store import read_results
from mpobench_llm.envs.hub_names import find


@pytest.mark.slow
def test_a_local_model_on_local_pairs(mpobench_cli: Run, tiny: Path, tmp_path: Path) -> None:
    data, results = tmp_path / "pairs", tmp_path / "results"
    data.mkdir()
    dpo_mix(data)
    done = mpobench_cli(
        "run",
        "--envs",
        f"llm:model={tiny},dataset={data}",
        "--objectives",
        "tampo:schedule=sigmoid,dpo,tampo-noisy-0.1",
        "--corruptions",
        "noisy:0.3,mixed",
        "--scale",
        "smoke",
        "--seeds",
        "1",
        "--workers",
        "1",
        "--results",
        str(results),
    )
    assert done.returncode == 0, done.stderr
    cells = read_results(results)
    by_status = {status: [cell for cell in cells if cell.status == status] for status in ("ok", "skipped")}
    assert {cell.objective for cell in by_status["ok"]} == {
        "tampo:schedule=sigmoid",
        "dpo",
        "tampo-noisy-0.1",
    }
    assert {cell.corruption for cell in by_status["skipped"]} == {"mixed"}
    assert "only flips" in by_status["skipped"][0].reason
    for cell in by_status["ok"]:
        assert 0 <= cell.metrics["accuracy"] <= 100
        assert str(tmp_path) not in str(cell.config)  # what decides a result is the content, wherever it lies


def test_the_content_decides_the_key_not_the_path(tmp_path: Path) -> None:
    def identity(path: str) -> object:
        return find(path, "dataset").identity

    one, other = tmp_path / "one.jsonl", tmp_path / "folder" / "one.jsonl"
    other.parent.mkdir()
    one.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    other.write_text(one.read_text())
    assert identity(str(one)) == identity(str(other))
    other.write_text('{"prompt": "a", "chosen": "c", "rejected": "b"}\n')
    assert identity(str(one)) != identity(str(other))


def test_what_is_not_there_is_one_line(mpobench_cli: Run, tmp_path: Path) -> None:
    done = mpobench_cli(
        "run", "--envs", "llm:model=./no-model,dataset=./no-data", "--objectives", "sft", "--scale", "smoke",
        "--seeds", "1", "--workers", "1", "--results", str(tmp_path / "results"),
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is no file or folder ./no-model; check the path" in done.stderr
    assert not (tmp_path / "results").exists()
    assert "Traceback" not in done.stderr


def test_a_model_that_cannot_be_right_is_refused_before_anything_is_computed(
    tiny: Path, tmp_path: Path
) -> None:
    """One that reads the tokens that follow, by the first prerequisite of a training."""
    import shutil

    from transformers import BertConfig, BertLMHeadModel

    from mpobench import DatasetRequest, RequestError, TrainingRequest, Workspace, objective
    from mpobench.registry.registry import get_registry
    from mpobench_llm.envs.hub_env import AnyModel

    shape = BertConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, initializer_range=0.5
    )
    BertLMHeadModel(shape).save_pretrained(tmp_path / "model")
    for file in tiny.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "model")
    env = AnyModel(model=str(tmp_path / "model"), dataset=str(dpo_mix(tmp_path / "pairs")))
    noise = get_registry().build("corruption", "base").component
    request = TrainingRequest(DatasetRequest(noise, 0, "smoke", "key"), "orpo", objective("orpo"), 0, {})
    (download,) = env.prerequisites(request)
    with pytest.raises(
        RequestError, match=r"model \(bert\) is no causal model, [^\n]*: choose another model"
    ):
        env.prepare(download.payload, Workspace(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()
