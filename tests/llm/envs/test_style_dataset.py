"""The datasets of smollm-style: which answers are picked, which is chosen, and what decides a cached file's name."""

from __future__ import annotations

import functools
import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from mpobench import DatasetRequest, Objective, RequestError, TrainingRequest, Workspace
from mpobench.files.keys import content_key
from mpobench.registry.registry import get_registry
from mpobench_llm.envs.smollm_style import configuration, rules
from mpobench_llm.envs.smollm_style.configuration import ROLES, TRAINING_PROMPTS, Block
from mpobench_llm.envs.smollm_style.env import SmolLMStyle
from mpobench_llm.envs.smollm_style.rollouts import Rollout
from mpobench_llm.models.base_model import load_base
from mpobench_llm.models.tokens import Row, prompt_ids

ENV = SmolLMStyle()
PAIRS = ENV.settings.scale["quick"].dataset.pairs or 0
BLOCK = ENV.settings.scale["quick"].dataset.block
TEXTS = (  # that keep no rule, one, two and three
    "The moon, as a rock, shines on",
    "the Moon is, as a rock, A light. it shines.",
    "the Moon is a rock. it shines.",
    "the moon is a rock. it shines.",
)


def request(corruption: str, seed: int = 0, scale: Any = "quick", **overrides: Any) -> TrainingRequest:
    noise = get_registry().build("corruption", corruption).component
    dataset = DatasetRequest(noise, seed, scale, content_key([corruption, seed, scale]))
    objective: Objective = get_registry().build("objective", "orpo").component
    return TrainingRequest(dataset, "orpo", objective, 0, overrides)


def invented(block: Block, offset: int) -> Rollout:
    """An answer whose tokens say whose it is and to what; its worth is a matter of chance."""
    row, role = block.first + offset, ROLES.index(block.role)
    (prompt,) = ENV.selected_prompts(block.purpose, row, 1)
    chance = np.random.default_rng([role, block.draw, row])
    text = TEXTS[chance.integers(0, 3) + role]
    return Rollout(prompt=prompt, tokens=(10 + role, 20 + block.draw, 30 + row, 2), text=text, mean_logp=-1.5)


def invent(workspace: Workspace, blocks: list[Block]) -> None:
    """Puts invented answers where sampled ones would be."""
    for block in blocks:
        file = workspace.cache / ENV.block_path(block)
        file.parent.mkdir(parents=True, exist_ok=True)
        answers = [invented(block, offset).model_dump(mode="json") for offset in range(block.count)]
        file.write_text(json.dumps(answers))


@pytest.fixture(scope="module")
def workspace(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A cache in which the tiny model stands where the converted one would."""
    cache = tmp_path_factory.mktemp("style")
    (model,) = [each for each in ENV.data_prerequisites(request("base")) if each.phase == "model"]
    shutil.copytree(tiny, cache / model.path)
    return Workspace(cache)


@pytest.fixture
def rows(workspace: Workspace) -> Callable[[TrainingRequest], list[Row]]:
    """The rows of a training on invented answers."""

    def read(wanted: TrainingRequest) -> list[Row]:
        invent(workspace, ENV.blocks(wanted.dataset))
        return ENV.rows(wanted, workspace)

    return read


def origin(tokens: tuple[int, ...]) -> tuple[int, int, int]:
    """(agent, side, row) of an answer in a row."""
    return tokens[0] - 10, tokens[1] - 20, tokens[2] - 30


@functools.cache
def worth(agent: int, side: int, row: int) -> float:
    """An invented answer's return: no more than what its text was written for."""
    return 100 * TEXTS.index(invented(Block(ROLES[agent], side, row, 1), 0).text) / 3


def test_invented_answers_are_worth_what_they_were_written_for():
    totals = [ENV.score(Rollout(prompt="", tokens=(), text=text, mean_logp=-1.5)).total for text in TEXTS]
    assert totals == pytest.approx([0, 100 / 3, 200 / 3, 100])


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("corruption", ["base", "noisy:0.3", "mixed", "mixed+noisy:0.5"])
def test_pairs_are_picked_and_labelled(rows, corruption, seed):
    wanted = request(corruption, seed)
    made = rows(wanted)
    assert [row.index for row in made] == list(range(PAIRS))
    sources = wanted.dataset.corruption.sources(PAIRS, np.random.default_rng([seed, 0]))
    flips = wanted.dataset.corruption.flip(PAIRS, np.random.default_rng([seed, 2]))
    luck = np.random.default_rng([seed, 1]).random(PAIRS)
    for i, row in enumerate(made):
        sides = sorted((origin(completion) for completion in row.completions), key=lambda each: each[1])
        assert sides == [(sources[i, 0], 0, i), (sources[i, 1], 1, i)]
        first, second = (worth(*side) for side in sides)
        first_wins = luck[i] < expit(first - second)  # Bradley-Terry: certain, but for ties
        assert first == second or first_wins == (first > second)
        chosen = origin(row.completions[0])[1]
        assert chosen == (0 if first_wins != flips[i] else 1)
    if corruption == "noisy:0.3":
        assert 0.15 < flips.mean() < 0.45
    if corruption.startswith("mixed"):
        assert {tuple(pair) for pair in sources.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    if corruption == "base":
        assert all(worth(*origin(row.completions[0])) >= worth(*origin(row.completions[1])) for row in made)


def test_noise_flips_about_its_rate_of_the_clean_labels(rows):
    """And nothing else: same pairs, same answers."""
    differ = []
    for seed in range(4):
        clean, noisy = (rows(request(corruption, seed)) for corruption in ("base", "noisy:0.3"))
        for one, other in zip(clean, noisy, strict=True):
            assert one.prompt == other.prompt
            differ.append(one.completions != other.completions)
            assert other.completions == (one.completions[::-1] if differ[-1] else one.completions)
    assert np.mean(differ) == pytest.approx(0.3, abs=3 * np.sqrt(0.21 / len(differ)))


def test_a_row_asks_plainly_and_keeps_the_sampled_tokens(rows, workspace):
    _, tokenizer = load_base(ENV.source(workspace))
    made = rows(request("base"))
    for i, row in enumerate(made):
        assert list(row.prompt) == prompt_ids(tokenizer, rules.plain(ENV.prompts[i]))
        for completion in row.completions:
            agent, side, _ = origin(completion)
            assert completion == invented(Block(ROLES[agent], side, i, 1), 0).tokens


def test_long_rows_are_dropped_or_cut_and_counted(rows, workspace):
    whole = rows(request("base"))
    lengths = sorted(len(row.prompt) + 4 for row in whole)
    middle = lengths[PAIRS // 2]
    short = [row for row in whole if len(row.prompt) + 4 <= middle]
    assert 0 < len(short) < PAIRS
    lines: list[str] = []
    kept = ENV.kept_rows(request("base", max_length=middle), replace(workspace, note=lines.append))
    assert [(row.prompt, row.completions) for row in kept.rows] == [
        (row.prompt, row.completions) for row in short
    ]
    assert [row.index for row in kept.rows] == list(range(len(short)))
    assert kept.counts.facts() == {
        "pairs read": PAIRS,
        "pairs kept": len(short),
        "pairs dropped: equal answers": 0,
        "pairs dropped: overlong": PAIRS - len(short),
    }
    dropped = PAIRS - len(short)
    assert lines == [f"smollm-style: {PAIRS} pairs read, {len(short)} kept; dropped: {dropped} × overlong"]
    cut = ENV.kept_rows(request("base", max_length=middle, overlong="cut"), workspace)
    assert cut.counts.cut == dropped
    for before, after in zip(whole, cut.rows, strict=True):
        assert len(after.prompt) + 4 == min(len(before.prompt) + 4, middle)
        assert after.completions == before.completions


def test_a_length_that_no_pair_has_is_refused(rows, workspace):
    rows(request("base"))
    with pytest.raises(
        RequestError, match=r"smollm-style has no pair to use at 8 tokens.*overlong=cut"
    ) as error:
        ENV.rows(request("base", max_length=8), workspace)
    assert "\n" not in str(error.value)


def test_a_length_beyond_the_model_s_positions_is_refused(workspace):
    with pytest.raises(RequestError, match=r"max_length = 2049 is more than the 2048 positions of .*SmolLM2"):
        ENV.rows(request("base", max_length=2049), workspace)


def test_held_out_pairs_prefer_the_better_answer(workspace):
    count = ENV.evaluation_settings("quick").pairs
    invent(workspace, [Block(role, 0, 0, count, "held-out") for role in ROLES])
    made = ENV.held_out_rows("quick", workspace)
    ties = [i for i in range(count) if worth(0, 0, i) == worth(1, 0, i)]
    assert ties
    assert [row.index for row in made] == list(range(count - len(ties)))
    assert [origin(row.completions[0])[2] for row in made] == [i for i in range(count) if i not in ties]
    for row in made:
        better, worse = (origin(completion) for completion in row.completions)
        assert {better[0], worse[0]} == {0, 1}
        assert worth(*better) > worth(*worse)
    assert {origin(row.completions[0])[0] for row in made} == {0, 1}, "not always the target agent's"


# Names of cached files


def keys(wanted: TrainingRequest) -> set[str]:
    fresh = SmolLMStyle()  # which has not read its settings yet
    return {fresh.block_key(block) for block in fresh.blocks(wanted.dataset)}


def test_blocks_depend_on_neither_corruption_nor_seed():
    base, mixed = keys(request("base")), keys(request("mixed"))
    assert base == keys(request("base", seed=9)) == keys(request("noisy:0.3", seed=2))
    assert base < mixed
    assert mixed == keys(request("mixed", seed=9)) == keys(request("mixed+noisy:0.5", seed=3))
    per_agent = -(-PAIRS // BLOCK)
    assert (len(base), len(mixed)) == (2 * per_agent, 4 * per_agent)


def test_blocks_cover_every_pair_once():
    for scale in ("smoke", "quick", "paper"):
        covered: dict[tuple[str, int], list[int]] = {}
        for block in ENV.blocks(request("mixed", scale=scale).dataset):
            covered.setdefault((block.role, block.draw), []).extend(
                range(block.first, block.first + block.count)
            )
        pairs = ENV.settings.scale[scale].dataset.pairs
        assert covered == {(role, draw): list(range(pairs)) for role in ROLES for draw in (0, 1)}


def test_prerequisites_name_the_files_that_are_read(workspace):
    wanted = request("mixed", seed=5)
    invent(workspace, ENV.blocks(wanted.dataset))
    model, *blocks = ENV.data_prerequisites(wanted)
    assert model.path == str(Path(ENV.source(workspace).location).relative_to(workspace.cache))
    assert {each.key for each in blocks} == keys(wanted)
    for each in blocks:
        assert each.needs == (model.key,)
        before = (workspace.cache / each.path).stat().st_mtime_ns
        ENV.prepare(each.payload, workspace)
        assert (workspace.cache / each.path).stat().st_mtime_ns == before


def toml() -> dict[str, Any]:
    file = resources.files("mpobench_llm.envs.smollm_style") / "smollm_style.toml"
    return tomllib.loads(file.read_text())


def test_names_of_scales_are_in_no_key(monkeypatch):
    table = toml()
    table["scale"]["smoke"] = table["scale"]["quick"]
    monkeypatch.setattr(configuration, "load_env_file", lambda model, *place: model.model_validate(table))
    small, quick = (request("mixed", scale=scale) for scale in ("smoke", "quick"))
    assert keys(small) == keys(quick)
    env = SmolLMStyle()
    assert env.dataset_config("smoke") == env.dataset_config("quick")
    assert env.training_config(small) == env.training_config(quick)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"sampling": {"temperature": 0.123, "max_tokens": 48}}, True),
        ({"fluency": {"broken": -9.0, "fluent": -3.0, "repeating": 0.4, "varied": 0.8}}, False),
        ({"levels": {"original": 1.0, "target": 2.0}}, False),
    ],
)
def test_blocks_depend_on_how_answers_are_sampled_not_on_what_they_are_worth(monkeypatch, change, differs):
    before, config = keys(request("base")), SmolLMStyle().dataset_config("quick")
    table = {**toml(), **change}
    monkeypatch.setattr(configuration, "load_env_file", lambda model, *place: model.model_validate(table))
    assert (keys(request("base")) != before) == differs
    assert (SmolLMStyle().dataset_config("quick") != config) == ("levels" not in change)


# Prompts


def test_held_out_prompts_are_never_trained_on():
    assert len(ENV.prompts) > TRAINING_PROMPTS
    trained = {text.casefold().strip() for text in ENV.selected_prompts("data", 0, 2000)}
    held_out = {text.casefold().strip() for text in ENV.selected_prompts("held-out", 0, 2000)}
    assert len(trained) == TRAINING_PROMPTS
    assert len(held_out) == len(ENV.prompts) - TRAINING_PROMPTS
    assert not trained & held_out
    for scale in ("smoke", "quick", "paper"):
        assert not set(ENV.instructions(scale, Workspace(Path()))) & set(ENV.prompts[:TRAINING_PROMPTS])
    shown = {question.casefold() for question, _ in rules.EXAMPLES}
    assert not shown & (held_out | trained), "the target agent's examples answer no prompt"


def test_prompts_go_round():
    count = len(ENV.prompts) - TRAINING_PROMPTS
    assert (
        ENV.selected_prompts("held-out", 0, count + 2)[-2:]
        == ENV.prompts[TRAINING_PROMPTS : TRAINING_PROMPTS + 2]
    )
    assert ENV.selected_prompts("data", TRAINING_PROMPTS - 1, 2) == [
        ENV.prompts[TRAINING_PROMPTS - 1],
        ENV.prompts[0],
    ]
