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
    return Generation(
        number=number,
        mean=mean,
        state=state,
        fitness=fitness,
        seeds=seeds,
        evaluation_seeds=seeds + 1,
        seconds=1.25,
        busy=2.125,
        steps=99,
        workers=2,
    )


def read(folder: Folder, number: int, key: str = KEY) -> Generation:
    return folder.load(number, key, a_generation().mean, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "search").mkdir()
    return Folder(tmp_path / "search")


def test_a_checkpoint_reads_as_it_was_written(folder: Folder) -> None:
    for number in (1, 2):
        folder.save(a_generation(number), KEY)
    assert folder.generations() == 2
    found, written = read(folder, 2), a_generation(2)
    assert (found.number, found.seconds, found.busy, found.steps, found.workers) == (2, 1.25, 2.125, 99, 2)
    for name in ("fitness", "seeds", "evaluation_seeds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))
    assert {name: (array.shape, array.dtype) for name, array in found.state.items()} == {
        name: (array.shape, array.dtype) for name, array in written.state.items()
    }
    for part, array in written.mean["g_network"].items():
        assert found.mean["g_network"][part].shape == array.shape
        np.testing.assert_array_equal(found.mean["g_network"][part], array)


def test_a_folder_belongs_to_one_search(folder: Folder) -> None:
    folder.claim(a_search(corruption="noisy:0.1"), KEY, "start")
    folder.claim(a_search(corruption="noisy:0.1", generations=50), KEY, "start")  # it may become longer
    for asked, start, said in (
        (a_search(), "start", "corruption = 'noisy:0.1' there, 'base' here"),
        (a_search(corruption="noisy:0.1"), "other", "it began elsewhere"),
        (a_search(corruption="noisy:0.1"), "start", "other agents, data or versions of components"),
    ):
        with pytest.raises(
            RequestError, match=rf"holds another search \(.*{said}\): choose another --output"
        ):
            folder.claim(asked, "1" * 24, start)


def test_a_search_does_not_become_shorter(folder: Folder) -> None:
    folder.claim(a_search(generations=2), KEY, "start")
    for number in (1, 2):
        folder.save(a_generation(number), KEY)
    with pytest.raises(RequestError, match="has 2 generations already: ask for as many or more"):
        folder.claim(a_search(generations=1), KEY, "start")


def test_what_a_kill_leaves_of_the_first_file_is_in_nobody_s_way(folder: Folder) -> None:
    (folder.path / ".mpobench-0123456789ab.tmp").write_text("{")
    folder.claim(a_search(), KEY, "start")


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [
        ("tla-noisy-0.3", "tla-noisy-0.3"),
        ("My Search!", "my-search"),
        ("._.", "found"),
        ("x" * 49 + "--y", "x" * 49),
    ],
)
def test_the_result_is_named_after_the_folder(tmp_path: Path, folder_name: str, name: str) -> None:
    assert Folder(tmp_path / folder_name).name == name


def test_a_folder_with_something_else_is_left_alone(folder: Folder) -> None:
    (folder.path / "thesis.tex").write_text("mine")
    with pytest.raises(RequestError, match="is not empty, and holds no search"):
        folder.claim(a_search(), KEY, "start")
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
        folder.claim(a_search(), KEY, "start")


def test_a_damaged_checkpoint(folder: Folder) -> None:
    folder.save(a_generation(), KEY)
    file = folder.path / "generations" / "0001.safetensors"
    whole = file.read_bytes()
    for content in (b"", whole[:100], whole[:-1], b"x" * 200):
        file.write_bytes(content)
        with pytest.raises(RequestError, match=r"0001\.safetensors is damaged: .* goes on from generation 0"):
            read(folder, 1)


def test_a_checkpoint_of_another_search(folder: Folder) -> None:
    folder.save(a_generation(), KEY)
    with pytest.raises(RequestError, match="is of another search"):
        read(folder, 1, "1" * 24)


def test_a_mean_or_a_population_of_another_shape_is_damage(folder: Folder) -> None:
    folder.save(a_generation(), KEY)
    mean = a_generation().mean
    short = {"g_network": {**mean["g_network"], "bias": mean["g_network"]["bias"][:-1]}}
    for like, population in ((short, 4), (mean, 6), ({**mean, "phi_network": mean["g_network"]}, 4)):
        with pytest.raises(RequestError, match="is damaged"):
            folder.load(1, KEY, like, population)


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
        found = folder.resumed_scores(3)
        assert {index: repr(score) for index, score in found.items()} == {
            score.index: repr(score) for score in kept
        }
    folder.note(Score(3, 99, 1.0, 1.0, 1))
    assert 99 in folder.resumed_scores(3)
