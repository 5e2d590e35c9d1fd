"""The folder of a search: whose it is, what survives a stop, and what damage it tells."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import a_genome, a_search

from mpobench import RequestError
from mpobench_discovery.folder import Folder, Generation
from mpobench_discovery.members import Score

KEY = "0" * 24


def a_generation(number: int = 1) -> Generation:
    mean = a_genome("1s-mpo", "g").encoded(0.1)
    state = {"state.count": np.int32(number), "state.std": np.float32(0.03)}
    fitness, seeds = np.array([1.5, math.nan, 2.0, -1.0]), np.array([7, 8, 7, 8])
    return Generation(number, mean, state, fitness, seeds, 1.25, 2.125, 99)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "search").mkdir()
    return Folder(tmp_path / "search")


def test_a_checkpoint_reads_as_it_was_written(folder: Folder) -> None:
    for number in (1, 2):
        folder.save(a_generation(number), KEY)
    assert folder.generations() == 2
    read, written = folder.load(2, KEY), a_generation(2)
    assert (read.number, read.seconds, read.busy, read.steps) == (2, 1.25, 2.125, 99)
    np.testing.assert_array_equal(read.fitness, written.fitness)
    np.testing.assert_array_equal(read.seeds, written.seeds)
    assert {name: (array.shape, array.dtype) for name, array in read.state.items()} == {
        name: (array.shape, array.dtype) for name, array in written.state.items()
    }
    for part, array in written.mean["g_network"].items():
        assert read.mean["g_network"][part].shape == array.shape
        np.testing.assert_array_equal(read.mean["g_network"][part], array)


def test_a_folder_belongs_to_one_search(folder: Folder) -> None:
    folder.claim(a_search(corruption="noisy:0.1"), KEY)
    folder.claim(a_search(corruption="noisy:0.1", generations=50), KEY)  # it may become longer
    with pytest.raises(
        RequestError, match=r"corruption = 'noisy:0.1' there, 'base' here\): choose another --output"
    ):
        folder.claim(a_search(), "1" * 24)
    with pytest.raises(RequestError, match="other agents, data or versions"):
        folder.claim(a_search(corruption="noisy:0.1"), "1" * 24)


def test_a_folder_with_something_else_is_left_alone(folder: Folder) -> None:
    (folder.path / "thesis.tex").write_text("mine")
    with pytest.raises(RequestError, match="is not empty, and holds no search"):
        folder.claim(a_search(), KEY)
    assert [each.name for each in folder.path.iterdir()] == ["thesis.tex"]


def test_two_processes_do_not_share_a_folder(folder: Folder) -> None:
    with (
        folder.held(),
        pytest.raises(RequestError, match="another process is searching in"),
        Folder(folder.path).held(),
    ):
        raise AssertionError


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 1}'])
def test_a_damaged_request(folder: Folder, content: bytes) -> None:
    (folder.path / "search.json").write_bytes(content)
    with pytest.raises(RequestError, match=r"search\.json is damaged"):
        folder.claim(a_search(), KEY)


def test_a_damaged_checkpoint(folder: Folder) -> None:
    folder.save(a_generation(), KEY)
    file = folder.path / "generations" / "0001.safetensors"
    whole = file.read_bytes()
    for content in (b"", whole[:100], whole[:-1], b"x" * 200):
        file.write_bytes(content)
        with pytest.raises(RequestError, match=r"0001\.safetensors is damaged: .* goes on from generation 0"):
            folder.load(1, KEY)


def test_a_checkpoint_of_another_search(folder: Folder) -> None:
    folder.save(a_generation(), KEY)
    with pytest.raises(RequestError, match="is of another search"):
        folder.load(1, "1" * 24)


def test_a_state_that_does_not_fit_is_damage(folder: Folder) -> None:
    folder.save(a_generation(), KEY)
    with pytest.raises(RequestError, match="is damaged"):
        folder.load(1, KEY, lambda arrays: arrays["state.mean"])


SCORES = st.builds(
    Score,
    generation=st.just(3),
    index=st.integers(0, 9),
    fitness=st.floats(),
    seconds=st.floats(0, 1e6),
    steps=st.integers(0, 10**9),
)


@given(scores=st.lists(SCORES), cut=st.integers(2, 30) | st.just(0))
def test_scores_survive_whatever_cuts_the_last_line(
    tmp_path_factory: pytest.TempPathFactory, scores: list[Score], cut: int
) -> None:
    folder = Folder(tmp_path_factory.mktemp("search"))
    folder.note(Score(2, 0, 1.0, 1.0, 1))  # of the generation before
    for score in scores:
        folder.note(score)
    journal = folder.path / "members.jsonl"
    if cut and scores:
        journal.write_text(journal.read_text()[: -min(cut, len(json.dumps(vars(scores[-1]))))])
    kept = scores[: len(scores) - 1] if cut and scores else scores
    for _ in range(2):  # reading repairs the journal
        found = folder.scores(3)
        assert {index: repr(score) for index, score in found.items()} == {
            score.index: repr(score) for score in kept
        }
    folder.note(Score(3, 99, 1.0, 1.0, 1))
    assert 99 in folder.scores(3)
