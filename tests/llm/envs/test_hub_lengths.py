"""Lengths on the way from a dataset to a score: a model of few positions, long pairs, and the counts of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_samples import dpo_mix_rows, says, tiny_model, write_jsonl
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

import mpobench
from mpobench import DatasetRequest, Prerequisite, RequestError, TrainingRequest, Workspace
from mpobench.files.keys import content_key
from mpobench_llm.envs.hub_env import AnyModel
from mpobench_llm.evaluators.preference_accuracy import PreferenceAccuracy
from mpobench_llm.generation import answering
from mpobench_llm.models.base_model import load_base
from mpobench_llm.models.tokens import prompt_ids
from mpobench_llm.settings import SamplingSettings
from mpobench_llm.training.sft_stage import untrained_reference

POSITIONS = 96


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2, which has an embedding for each of its few positions, and for no other."""
    folder = tiny_model(tmp_path_factory.mktemp("short"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shape = GPT2Config(
            vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=POSITIONS,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        GPT2LMHeadModel(shape).save_pretrained(folder)
    return folder


def long(row: dict[str, Any], words: int) -> dict[str, Any]:
    """A row with a long preferred answer."""
    *prompt, answer = row["chosen"]
    return {**row, "chosen": [*prompt, says("assistant", answer["content"] + " and more" * words)]}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty rows without a system message: every third is too long, and one more has equal answers."""
    rows = [each for each in dpo_mix_rows(40) if each["chosen"][0]["role"] != "system"][:30]
    rows = [long(each, 60) if at % 3 == 1 else each for at, each in enumerate(rows)]
    rows[3] = {**rows[3], "rejected": rows[3]["chosen"]}
    return write_jsonl(tmp_path_factory.mktemp("mixed") / "rows.jsonl", rows)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "cache")


def request(objective: str = "dpo", corruption: str = "base", **overrides: Any) -> TrainingRequest:
    noise = mpobench.registry.registry.get_registry().build("corruption", corruption).component
    dataset = DatasetRequest(noise, 0, "smoke", content_key(["mixed", corruption]))
    values = {"precision": "float32", "max_length": POSITIONS, "lora_dropout": 0.0, **overrides}
    return TrainingRequest(dataset, objective, mpobench.objective(objective), 0, values)


def test_a_length_beyond_the_positions_is_refused_at_planning(short, mixed):
    env = AnyModel(model=str(short), dataset=str(mixed))
    said = rf"max_length = 97 is more than the {POSITIONS} positions of {short}: add --training max_length={POSITIONS}"
    with pytest.raises(RequestError, match=said):
        env.training_config(request(max_length=97))
    assert env.training_config(request())["overlong"] == "drop"


@pytest.mark.parametrize("overlong", ["drop", "cut"])
def test_trainings_and_scores_stay_within_the_positions(short, mixed, workspace, overlong):
    env, lines = AnyModel(model=str(short), dataset=str(mixed)), []
    listening = replace(workspace, note=lines.append)
    trained = env.train(request(overlong=overlong), listening)
    assert trained.dataset["pairs read"] == 9, "eight pairs, and the unusable row among them"
    assert trained.dataset["pairs dropped: equal answers"] == 1
    long_ones = trained.dataset.get("pairs kept, but cut", trained.dataset["pairs dropped: overlong"])
    assert 2 <= long_ones <= 4
    kept = trained.dataset["pairs kept"]
    assert kept == (8 if overlong == "cut" else 8 - long_ones)
    assert set(lines) == {f"{mixed}: {env.kept_rows(request(overlong=overlong), workspace).counts}"}
    scored = PreferenceAccuracy().evaluate(env, trained.policy, 0, "smoke", listening)
    assert scored["pairs"] == len(env.held_out_rows("smoke", workspace))
    for row in env.held_out_rows("smoke", workspace):
        assert len(row.prompt) + max(map(len, row.completions)) <= POSITIONS


def test_references_belong_to_the_rows_that_are_kept(short, mixed, workspace):
    """Of every way to make rows, each with a reference of its own, row by row."""
    env = AnyModel(model=str(short), dataset=str(mixed))
    references = {}
    for overlong in ("drop", "cut"):
        for corruption in ("base", "noisy:0.5"):
            wanted = request("dpo", corruption, overlong=overlong)
            rows = env.rows(wanted, workspace)
            assert [row.index for row in rows] == list(range(len(rows)))
            logps = untrained_reference(env, wanted, workspace)
            assert logps.shape == (len(rows), 2)
            references[overlong, corruption] = {
                side: float(value)
                for row, values in zip(rows, logps, strict=True)
                for side, value in zip(((row.prompt, each) for each in row.completions), values, strict=True)
            }
    for overlong in ("drop", "cut"):
        base, noisy = references[overlong, "base"], references[overlong, "noisy:0.5"]
        assert base == pytest.approx(noisy, abs=1e-3), "the same pairs, whatever their labels"
    shared = references["drop", "base"].keys() & references["cut", "base"].keys()
    assert shared == references["drop", "base"].keys()
    for side in shared:
        assert references["drop", "base"][side] == pytest.approx(references["cut", "base"][side], abs=1e-3)


def test_overlong_and_length_are_in_the_keys(short, mixed):
    env = AnyModel(model=str(short), dataset=str(mixed))
    plans = [request(), request(overlong="cut"), request(max_length=64)]
    for paths in (
        {env.reference_path(each, "float32") for each in plans},
        {env.sft_path(each) for each in plans},
        {content_key(env.training_config(each)) for each in plans},
        {prerequisite.path for each in plans for prerequisite in env.data_prerequisites(each)},
    ):
        assert len(paths) == len(plans)


def test_data_without_a_pair_that_fits_are_refused_before_a_run(short, tmp_path, workspace):
    rows = [long(each, 60) for each in dpo_mix_rows(20)]
    path = write_jsonl(tmp_path / "long.jsonl", rows)
    env = AnyModel(model=str(short), dataset=str(path))
    said = rf"{path} has no pair to use at {POSITIONS} tokens: 8 pairs read, 0 kept; dropped: 8 × overlong; raise it"
    with pytest.raises(RequestError, match=said) as error:
        env.check_data(request())
    assert "\n" not in str(error.value)
    (download,) = env.data_prerequisites(request())
    with pytest.raises(RequestError, match=said):
        env.prepare(download.payload, workspace)
    assert isinstance(download, Prerequisite)
    assert not (workspace.cache / download.path).exists()
    env.check_data(request(overlong="cut"))


def test_answers_end_with_the_positions(short, mixed, workspace):
    env = AnyModel(model=str(short), dataset=str(mixed))
    source = env.source(workspace)
    _, tokenizer = load_base(source)
    asked = [[says("user", "word " * count)] for count in (1, 5, 12)]
    lengths = [len(prompt_ids(tokenizer, messages)) for messages in asked]
    assert max(lengths) < POSITIONS
    sampling = SamplingSettings(temperature=2.0, max_tokens=1000)
    streams = [[0, i] for i in range(3)]
    made = answering.sample_answers(
        source, env.original(), asked, streams, sampling, 8, lambda fraction: None
    )
    totals = [length + len(answer.tokens) for length, answer in zip(lengths, made, strict=True)]
    assert max(totals) == POSITIONS
    with pytest.raises(
        RequestError, match=rf"has {POSITIONS} positions, and a prompt has \d+ tokens: shorten it"
    ):
        answering.sample_answers(
            source, env.original(), [[says("user", "word " * 90)]], [[0]], sampling, 8, lambda fraction: None
        )


def test_instructions_that_leave_no_room_are_not_asked(short, tmp_path, workspace):
    rows = [
        {"prompt": f"{'word ' * (60 * (at % 2))}{at}?", "chosen": "Yes.", "rejected": "No."}
        for at in range(80)
    ]
    env = AnyModel(model=str(short), dataset=str(write_jsonl(tmp_path / "rows.jsonl", rows)))
    lines: list[str] = []
    asked = env.instructions("smoke", replace(workspace, note=lines.append))
    assert asked
    assert all(len(text) < 10 for text in asked)
    assert len(lines) == (len(asked) < 4)
    assert all("too long for the 96 positions" in line for line in lines)
