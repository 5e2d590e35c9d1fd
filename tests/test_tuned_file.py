"""Tuned files: what is written is read again, what is not one is refused in a line, and what counts over what."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tuning_samples import entry

import mpobench
from mpobench.errors import RequestError
from mpobench.planning.env_plan import EnvPlan
from mpobench.planning.plan import Plan, plan
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import FIRST_HELD_OUT_SEED, FIRST_TUNING_SEED, TunedEntry, TunedFile
from mpobench.registry.registry import Registry, get_registry

NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.dictionaries(
    NAMES,
    st.one_of(
        st.booleans(),
        st.integers(-(2**60), 2**60),
        NUMBERS,
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    max_size=4,
)
ENTRIES = st.builds(
    entry,
    env=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
    corruption=NAMES,
    objective=NAMES,
    fields=VALUES,
    training=VALUES,
    score=NUMBERS,
    held_out=st.none() | NUMBERS,
    edges=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=2),
    everywhere=st.booleans(),
)


@settings(max_examples=50)
@given(st.lists(ENTRIES, max_size=4, unique_by=lambda each: each.place))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, entries: list[TunedEntry]
) -> None:
    path = tmp_path_factory.mktemp("tuned") / "tuned.toml"
    everywhere = [(each.env, each.objective) for each in entries if each.everywhere]
    assume(len(everywhere) == len(set(everywhere)))
    file = TunedFile(tuned=tuple(entries))
    file.write(path)
    again = TunedFile.read(path)
    assert {each.place: each for each in again.tuned} == {each.place: each for each in entries}
    assert again.text() == file.text(), "and written again, it is the same text"


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    path = tmp_path_factory.mktemp("tuned") / "tuned.toml"
    path.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)
    with pytest.raises(RequestError, match=re.escape(str(path))):
        TunedFile.read(path)


def write(path: Path, *entries: TunedEntry) -> Path:
    TunedFile(tuned=entries).write(path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('format = "mpobench-tuned/1"', ""), 'it has no format = "mpobench-tuned/1"'),
        (("mpobench-tuned/1", "mpobench-tuned/2"), "format: Input should be 'mpobench-tuned/1'"),
        (('objective = "dpo"', ""), "tuned.0.objective: Field required"),
        (("trials = 8", "trails = 8"), "tuned.0.trials: Field required"),
        (("score = 0.5", "score = nan"), "tuned.0.score: Input should be a finite number"),
        (("beta = 0.3", "beta = nan"), "tuned.0.fields.beta"),
        (("beta = 0.3", "beta = [0.3]"), "tuned.0.fields.beta"),
        (
            ("trials = 8", 'trials = 8\neverywhere = "often"'),
            "tuned.0.everywhere: Input should be a valid boolean",
        ),
        (("beta = 0.3", "beta 0.3"), "is not a TOML file: "),
    ],
)
def test_what_is_no_tuned_file(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = write(tmp_path / "tuned.toml", entry(fields={"beta": 0.3}))
    before = path.read_text()
    path.write_text(before.replace(*change))
    assert path.read_text() != before
    with pytest.raises(RequestError, match=re.escape(message)):
        TunedFile.read(path)


def test_a_missing_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read tuned values .*`mpobench tune` makes some"):
        TunedFile.read(tmp_path / "none.toml")


def planned(registry: Registry, path: Path, objectives: str = "dpo", **fields: Any) -> Plan:
    suite = {"envs": "bandit", "scale": "smoke", "objectives": objectives, "tuned": path, **fields}
    return plan(Suite.of(suite), registry)


def configs(made: Plan) -> dict[str, tuple[float, float]]:
    """β and learning rate, by row."""
    return {
        training.cells[0].objective: (
            training.config["objective"]["fields"]["beta"],
            training.config["training"]["learning_rate"],
        )
        for training in made.trainings
    }


def test_stated_wins_over_tuned_and_tuned_over_defaults(tmp_path: Path, bandits: Registry) -> None:
    path = write(tmp_path / "t.toml", entry(fields={"beta": 0.3}, training={"learning_rate": 2.0}))
    assert configs(planned(bandits, path)) == {"dpo": (0.3, 2.0)}
    assert configs(planned(bandits, path, "dpo:beta=7")) == {"dpo:beta=7": (7.0, 2.0)}
    assert configs(planned(bandits, path, "dpo:beta=0.1")) == {"dpo:beta=0.1": (0.1, 2.0)}, (
        "the default, stated"
    )
    assert configs(planned(bandits, path, "dpo:beta=0.3")) == {"dpo": (0.3, 2.0)}
    assert configs(planned(bandits, path, training={"learning_rate": 5.0})) == {"dpo": (0.3, 5.0)}
    assert configs(planned(bandits, path, training={"epochs": 2})) == {"dpo": (0.3, 2.0)}


def test_tuned_values_enter_keys_as_if_they_were_stated(tmp_path: Path, bandits: Registry) -> None:
    path = write(tmp_path / "t.toml", entry(fields={"beta": 0.3}, training={"learning_rate": 2.0}))
    tuned = planned(bandits, path)
    suite = {
        "envs": "bandit",
        "scale": "smoke",
        "objectives": "dpo:beta=0.3",
        "training": {"learning_rate": 2.0},
    }
    stated = plan(Suite.of(suite), bandits)
    assert [cell.key for cell in tuned.cells] == [cell.key for cell in stated.cells]
    untuned = plan(Suite.of({**suite, "objectives": "dpo", "training": {}}), bandits)
    assert tuned.cells[0].key != untuned.cells[0].key
    assert tuned.cells[0].dataset_key == untuned.cells[0].dataset_key


def test_the_spec_s_own_entry_counts_before_that_of_the_name(tmp_path: Path, bandits: Registry) -> None:
    path = write(
        tmp_path / "t.toml",
        entry(objective="tampo", fields={"beta": 0.3}),
        entry(objective="tampo:schedule=sigmoid", fields={"beta": 0.6}),
    )
    rows = configs(planned(bandits, path, "tampo,tampo:schedule=sigmoid,tampo:schedule=linear"))
    betas = {row: beta for row, (beta, _) in rows.items()}
    assert betas == {"tampo": 0.3, "tampo:schedule=sigmoid": 0.6, "tampo:schedule=linear": 0.3}


def test_what_counts_everywhere_counts_where_nothing_was_tuned(tmp_path: Path, bandits: Registry) -> None:
    path = write(
        tmp_path / "t.toml",
        entry(corruption="noisy:0.3", fields={"beta": 0.3}, everywhere=True),
        entry(corruption="noisy:0.2", fields={"beta": 0.2}),
    )
    for corruption, beta in (("base", 0.3), ("noisy:0.3", 0.3), ("noisy:0.2", 0.2)):
        made = planned(bandits, path, corruptions=corruption)
        assert configs(made)["dpo"][0] == beta
        assert not any("has nothing for" in note for note in made.notes)
    assert configs(planned(bandits, path, "dpo:beta=7"))["dpo:beta=7"][0] == 7.0
    (note, *_) = planned(bandits, path, "sft").notes
    assert "has nothing for sft on bandit (base)" in note


def test_an_own_entry_of_the_name_counts_before_one_that_counts_everywhere(
    tmp_path: Path, bandits: Registry
) -> None:
    path = write(
        tmp_path / "t.toml",
        entry(objective="tampo", fields={"beta": 0.2}),
        entry(objective="tampo:schedule=sigmoid", corruption="mixed", fields={"beta": 0.6}, everywhere=True),
    )
    row = "tampo:schedule=sigmoid"
    assert configs(planned(bandits, path, row))[row][0] == 0.2
    assert configs(planned(bandits, path, row, corruptions="noisy:0.3"))[row][0] == 0.6


def test_one_entry_of_an_objective_counts_everywhere(tmp_path: Path, bandits: Registry) -> None:
    first, second = (entry(corruption=name, everywhere=True) for name in ("base", "mixed"))
    file = TunedFile(tuned=(first,)).updated([second])
    assert {each.corruption: each.everywhere for each in file.tuned} == {"base": False, "mixed": True}
    again = file.updated([entry(corruption="mixed", score=0.7), entry(score=0.8)])
    assert {each.corruption: each.everywhere for each in again.tuned} == {"base": False, "mixed": True}, (
        "tuned again, without saying so"
    )

    path = write(tmp_path / "t.toml", first, entry(corruption="mixed", score=0.25))
    path.write_text(path.read_text().replace("score = 0.25", "score = 0.25\neverywhere = true"))
    with pytest.raises(
        RequestError, match="dpo on bandit base and dpo on bandit mixed both count everywhere"
    ):
        TunedFile.read(path)
    write(path, first, entry(env="bandit:noise=0.5", corruption="mixed", everywhere=True))
    with pytest.raises(RequestError, match="both count everywhere"):
        planned(bandits, path)


def test_rows_without_tuned_values_are_named_in_one_line(tmp_path: Path, bandits: Registry) -> None:
    path = write(
        tmp_path / "t.toml", entry(dataset=EnvPlan(bandits, "bandit", (), "smoke", {}).data_key("smoke"))
    )
    assert planned(bandits, path).notes == ()
    made = planned(bandits, path, "dpo,sft", corruptions="base,noisy:0.3")
    assert made.notes == (
        f"{path} has nothing for sft on bandit (base, noisy:0.3); dpo on bandit (noisy:0.3): "
        "untuned defaults count there",
    )


def test_values_that_were_tuned_on_other_data_are_noticed(tmp_path: Path, bandits: Registry) -> None:
    key = EnvPlan(bandits, "bandit", (), "smoke", {}).data_key("smoke")
    path = write(
        tmp_path / "t.toml", entry(dataset=key, scale="quick", corruption="noisy:0.3"), entry(dataset=key)
    )
    (note,) = planned(bandits, path, corruptions="base,noisy:0.3").notes
    assert (
        "were tuned on other agents or data than there are now, for dpo on bandit (noisy:0.3): tune again"
        in note
    )


def test_values_that_were_tuned_in_another_training_are_noticed(tmp_path: Path, bandits: Registry) -> None:
    key = EnvPlan(bandits, "bandit", (), "smoke", {}).data_key("smoke")
    path = write(tmp_path / "t.toml", entry(dataset=key, fixed={"epochs": 2}))
    (note,) = planned(bandits, path, training={"epochs": 3}).notes
    assert note.endswith("were tuned in another training (epochs=3 here, 2 there), for dpo on bandit (base)")
    assert len(planned(bandits, path).notes) == 1
    assert planned(bandits, path, training={"epochs": 2}).notes == ()
    write(path, entry(dataset=key, training={"learning_rate": 2.0}))
    (note,) = planned(bandits, path, training={"epochs": 7}).notes
    assert "(epochs=7 here, " in note, "nothing was set when they were tuned"
    assert planned(bandits, path, training={"learning_rate": 5.0}).notes == (), (
        "what was tuned is stated otherwise"
    )


def test_a_training_that_cannot_be_at_this_scale_is_noticed_too(tmp_path: Path) -> None:
    registry = get_registry()
    key = EnvPlan(registry, "tla", (), "smoke", {}).data_key("smoke")
    path = write(tmp_path / "t.toml", entry(env="tla", dataset=key, fixed={"pairs_per_update": 16}))
    (note,) = planned(registry, path, envs="tla").notes
    assert note.endswith("were tuned in another training (pairs_per_update=16 there), for dpo on tla (base)")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"env": "bandid"}, "did you mean 'bandit'?"),
        ({"corruption": "nosiy:0.1"}, "did you mean 'noisy'?"),
        ({"objective": "dop"}, "did you mean 'dpo'?"),
        ({"objective": "simpo:bta=1"}, "no field 'bta': did you mean 'beta'?"),
        ({"objective": "simpo", "fields": {"bta": 1.0}}, "no field 'bta': did you mean 'beta'?"),
        ({"objective": "simpo", "fields": {"beta": -1.0}}, "beta=-1.0: input should be greater than 0"),
        (
            {"objective": "simpo", "training": {"learning_rates": 1.0}},
            "training has no field 'learning_rates'",
        ),
    ],
)
def test_unknown_names_fields_and_values(
    tmp_path: Path, bandits: Registry, wrong: dict[str, Any], message: str
) -> None:
    bad = entry(**{"corruption": "noisy:0.3", **wrong})
    path = write(tmp_path / "t.toml", bad)
    with pytest.raises(RequestError, match=re.escape(message)) as caught:
        planned(bandits, path, "sft")  # strict, although the row is not asked for
    assert str(caught.value).startswith(f"{path}, {bad}: ")
    assert "\n" not in str(caught.value)


def test_a_wrong_option_of_the_user_is_not_blamed_on_the_file(tmp_path: Path, bandits: Registry) -> None:
    path = write(tmp_path / "t.toml", entry())
    with pytest.raises(RequestError) as caught:
        planned(bandits, path, training={"epoch": 3})
    assert str(path) not in str(caught.value)


def test_two_ways_of_writing_one_row_are_refused(tmp_path: Path, bandits: Registry) -> None:
    path = write(tmp_path / "t.toml", entry(), entry(env="bandit:noise=0.5"))
    with pytest.raises(RequestError, match="it is there twice"):
        planned(bandits, path)


def test_reported_seeds_stay_below_those_of_tuning() -> None:
    assert FIRST_TUNING_SEED < FIRST_HELD_OUT_SEED
    suite = {"objectives": "dpo", "seeds": FIRST_TUNING_SEED}
    assert Suite.of({**suite, "tuned": "t.toml"}).seed_count == FIRST_TUNING_SEED
    more = {**suite, "seeds": FIRST_TUNING_SEED + 1}
    assert Suite.of(more).seed_count == FIRST_TUNING_SEED + 1, "without tuned values they are free"
    with pytest.raises(RequestError, match="seeds from 1000 on are those of tuning"):
        Suite.of({**more, "tuned": "t.toml"})


def test_python_takes_tuned_values_too(
    tmp_path: Path, bandit_site: Path, monkeypatch: pytest.MonkeyPatch, bandits: Registry
) -> None:
    from in_process import installed
    from tuning_samples import tuning_registry

    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "t.toml", entry(fields={"beta": 0.3}))
    with installed(tuning_registry()):
        done = mpobench.run(
            envs="bandit", objectives="dpo,sft", scale="smoke", tuned=path, launcher="in-turn",
            results=tmp_path / "results",
        )  # fmt: skip
    fields = {result.objective: result.config["objective"]["fields"] for result in done.results}
    assert fields["dpo"]["beta"] == 0.3
    assert any("sft on bandit (base)" in note for note in done.notes)
