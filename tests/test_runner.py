"""The runner: what is computed, what is not computed again, and how failures stay where they belong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bandit_plugin import Bandit, Payoff
from lab import Here, Lab

import mpobench
from mpobench import TrainingRequest
from mpobench.api import refusals
from mpobench.errors import DiskFullError, RequestError
from mpobench.files.keys import KEY_VERSION, content_key
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.results.policy_files import record_file
from mpobench.running.runner import execute
from mpobench.running.workplace import Workplace


def test_a_run_learns_and_shares_what_trainings_have_in_common(lab: Lab) -> None:
    outcome = lab.run("sft,dpo,ipo,orpo", seeds=2, scale="paper", training={"epochs": 20})
    assert (outcome.planned, outcome.ran, outcome.failures) == (8, {"ok": 8}, [])
    work = lab.work()
    assert sum(count for what, count in work.items() if what.startswith("pulls")) == 2, "one dataset per seed"
    assert sum(count for what, count in work.items() if what.startswith("sft")) == 2, (
        "dpo and ipo share a stage"
    )
    assert sum(count for what, count in work.items() if what.startswith("train")) == 8
    original = 0.27  # σ(-1): what the original agent earns a pull
    for result in lab.store.load_all():
        assert result.metrics["payoff"] > original + 0.1, result.objective
        assert len(result.curves["loss"]) == 20
        assert result.config["objective"]["name"] == result.objective
        assert set(result.versions) == {"mpobench", "numpy"}


def test_a_record_has_the_minibatch_and_short_curves(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run("sft")
    (result,) = lab.store.load_all()
    assert result.pairs_per_update is None
    monkeypatch.setattr(Bandit, "pairs_per_update", lambda self, request: request.objective.min_pairs)
    lab.run("sft,kto", rerun="all")
    results = {result.objective: result for result in lab.store.load_all()}
    assert {name: result.pairs_per_update for name, result in results.items()} == {"sft": 1, "kto": 16}
    for result in results.values():
        whole = json.loads(record_file(lab.store.policy_folder(result.training_key)).read_text())["curves"][
            "loss"
        ]
        assert result.curves["loss"] == [float(f"{value:.5g}") for value in whole]
        assert result.curves["loss"] != whole


def test_a_finished_run_again_does_nothing(lab: Lab) -> None:
    lab.run()
    lab.work()
    before = {file: file.stat().st_mtime_ns for file in lab.store.folder.rglob("*.*")}
    outcome = lab.run()
    assert (outcome.ran, outcome.reused, lab.work()) == ({}, 2, {})
    assert {file: file.stat().st_mtime_ns for file in lab.store.folder.rglob("*.*")} == before


def test_a_run_hands_over_what_it_has_read(lab: Lab) -> None:
    lab.run("sft,dpo,raises")
    outcome = lab.run("sft,dpo,raises,orpo")
    assert {result.objective for result in outcome.known.values()} == {"sft", "dpo", "raises"}
    assert lab.run("sft,dpo,raises", rerun="all").known == {}, "they are about to change"
    again = lab.run("sft,raises", rerun="errors").known
    assert {result.objective for result in again.values()} == {"sft"}


def test_what_is_missing_is_all_that_runs(lab: Lab) -> None:
    lab.run("sft", seeds=1)
    lab.work()
    outcome = lab.run("sft,orpo", seeds=2)
    assert (outcome.ran, outcome.reused) == ({"ok": 3}, 1)
    assert lab.work() == {"pulls 1": 1, "train sft 1": 1, "train orpo 0": 1, "train orpo 1": 1}


def test_rerun_all_computes_all_again(lab: Lab) -> None:
    lab.run()
    lab.work()
    outcome = lab.run(rerun="all")
    assert (outcome.ran, outcome.reused) == ({"ok": 2}, 0)
    assert lab.work() == {"train sft 0": 1, "train dpo 0": 1}, "the shared files are still good"


def test_trainings_on_one_dataset_follow_each_other(lab: Lab) -> None:
    lab.run("sft,orpo,dpo", seeds=3)
    lab.work()
    lab.run("sft,orpo,dpo", seeds=3, rerun="all")
    seeds = [what.split()[-1] for what in lab.work()]
    assert len(seeds) == 9
    assert len([seed for seed, before in zip(seeds, [None, *seeds], strict=False) if seed != before]) == 3


def test_a_new_evaluator_never_retrains(lab: Lab) -> None:
    lab.run()
    assert lab.work()["train dpo 0"] == 1
    outcome = lab.run(evaluators="payoff,payoff:2")
    assert (outcome.ran, outcome.reused, lab.work()) == ({"ok": 2}, 2, {})
    scores = {(r.objective, r.evaluator): r.metrics["payoff"] for r in lab.store.load_all()}
    for objective in ("sft", "dpo"):
        assert scores[objective, "payoff:2"] == pytest.approx(2 * scores[objective, "payoff"])
    curves = {(r.objective, tuple(r.curves["loss"])) for r in lab.store.load_all()}
    assert len(curves) == 2, "a policy's curves are those of its training, whoever scores it"


def test_a_policy_that_cannot_be_loaded_is_trained_again_with_the_shared_files_that_it_needs(
    lab: Lab,
) -> None:
    lab.run("dpo")
    (result,) = lab.store.load_all()
    (lab.store.policy_folder(result.training_key) / "theta.txt").write_text("half of")
    for file in (lab.store.path(result.key), *lab.cache.glob("*.npy")):
        file.unlink()
    lab.work()
    assert lab.run("dpo").ran == {"ok": 1}
    assert lab.work() == {"pulls 0": 1, "sft 0": 1, "train dpo 0": 1}
    assert lab.store.load_all()[0].metrics == result.metrics


def test_policies_outlive_results_and_results_outlive_policies(lab: Lab) -> None:
    lab.run("sft")
    lab.work()
    lab.cell("sft").unlink()
    assert (lab.run("sft").ran, lab.work()) == ({"ok": 1}, {})
    for file in (lab.store.folder / "policies").rglob("*.*"):
        file.unlink()
    assert (lab.run("sft").ran, lab.work()) == ({}, {})
    assert lab.run("sft", evaluators="payoff:3").ran == {"ok": 1}
    assert lab.work() == {"train sft 0": 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\x00" * len(content),
        lambda content: content.replace(b"mpobench-cell/1", b"mpobench-cell/99"),
        lambda content: json.dumps({"somebody": "else's"}).encode(),
    ],
    ids=["truncated", "empty", "zeros", "foreign format", "foreign"],
)
def test_a_damaged_result_counts_as_missing_and_is_kept_aside(
    lab: Lab, damage: Callable[[bytes], bytes]
) -> None:
    lab.run()
    lab.work()
    file = lab.cell("dpo")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    outcome = lab.run()
    (line,) = outcome.replaced
    assert line.startswith(f"{file} is truncated or not a result of mpobench (")
    assert line.endswith(f"kept as {file.name}.damaged, its cell runs again")
    assert "\n" not in line
    assert (outcome.ran, outcome.reused, lab.work()) == ({"ok": 1}, 1, {}), "its policy is still there"
    assert file.with_name(f"{file.name}.damaged").read_bytes() == damage(whole)
    assert lab.status() == {"sft": "ok", "dpo": "ok"}
    assert lab.run().replaced == []


FAULTS = {
    "raises": ("error", "KeyError: 'no\\nsuch thing'"),
    "wrong-shape": ("error", "ValueError: WrongShape.loss returned shape (1,), not (8,)"),
    "nan": ("diverged", "the loss is not finite in epoch 1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_objective_fails_alone(lab: Lab, fault: str) -> None:
    status, reason = FAULTS[fault]
    outcome = lab.run(f"{fault},sft")
    assert outcome.ran == {"ok": 1, status: 1}
    assert outcome.failures == [f"{fault} on bandit base, seed 0: {status}: {reason}"]
    assert len(outcome.traces) == (status == "error")
    assert lab.status() == {fault: status, "sft": "ok"}
    again = lab.run(f"{fault},sft")
    assert (again.ran, again.reused) == ({}, 2)
    assert again.failures == [f"{fault} on bandit base, seed 0: {status} earlier: {reason}"]
    lab.work()
    assert lab.run(f"{fault},sft", rerun="errors").ran == {status: 1}
    assert lab.work() == {f"train {fault} 0": 1}


def test_a_plan_is_carried_whole(lab: Lab, tmp_path: Path) -> None:
    """An objective file that vanishes after planning is not missed."""
    file = tmp_path / "gone.json"
    mpobench.save_objective(file, mpobench.objective("lpo:lam=2"), "lpo", name="gone", summary="X")
    suite = Suite.of({"envs": "bandit", "scale": "smoke", "objectives": f"sft,{file}"})
    planned = plan(suite, lab.registry)
    file.unlink()
    assert execute(planned, lab.store, Workplace(Here(), lab.cache, workers=1)).ran == {"ok": 2}
    assert lab.status() == {"sft": "ok", "gone": "ok"}


def test_the_recorded_configuration_is_the_one_that_the_key_is_made_of(lab: Lab) -> None:
    lab.run("sft,dpo", seeds=2)
    for result in lab.store.load_all():
        config = result.config
        env = content_key({"identity": config["env"], "config": config["dataset"]})
        corruption = content_key({"version": KEY_VERSION, "env": env, "corruption": config["corruption"]})
        dataset = content_key([corruption, result.seed])
        recipe = content_key({"objective": config["objective"], "config": config["training"]})
        training = content_key([dataset, recipe, result.seed])
        score = content_key({"identity": config["evaluator"], "config": config["evaluation"]})
        assert (result.dataset_key, result.training_key) == (dataset, training)
        assert result.key == content_key([training, score])


@pytest.mark.parametrize("stage", ["pulls", "sft"])
def test_a_failed_prerequisite_fails_what_waits_for_it(lab: Lab, stage: str) -> None:
    outcome = lab.run("sft,dpo,ipo", envs=f"bandit,jammed:{stage}")
    stuck = ["sft", "dpo", "ipo"] if stage == "pulls" else ["dpo", "ipo"]
    assert sorted(outcome.failures) == sorted(
        f"{objective} on jammed:{stage} base, seed 0: error: RuntimeError: the lever is stuck"
        for objective in stuck
    )
    assert outcome.ran == {"ok": 6 - len(stuck), "error": len(stuck)}
    assert len(lab.store.load_all()) == 6


def test_a_corruption_that_fails_while_work_is_sorted_out_fails_alone(lab: Lab) -> None:
    outcome = lab.run("sft", corruptions="base,sources-raise")
    assert outcome.ran == {"ok": 1, "error": 1}
    assert outcome.failures == ["sft on bandit sources-raise, seed 0: error: LookupError: which agents?"]


def test_a_failed_evaluation_keeps_the_policy_and_the_other_scores(lab: Lab) -> None:
    evaluators = "infinite,payoff,unable"
    outcome = lab.run("sft", evaluators=evaluators)
    assert outcome.ran == {"diverged": 1, "ok": 1, "error": 1}
    assert outcome.failures == [
        "sft on bandit base, seed 0: diverged: the policy's payoff is not finite",
        "sft on bandit base, seed 0: error: FileNotFoundError: where is the key?",
    ]
    assert all(result.curves["loss"] for result in lab.store.load_all())
    lab.work()
    (lab.cache / "key").touch()
    outcome = lab.run("sft", evaluators=evaluators, rerun="errors")
    assert (outcome.ran, outcome.reused, lab.work()) == ({"diverged": 1, "ok": 1}, 1, {})


def test_a_disk_that_fills_up_in_an_evaluation_blames_no_cell(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> dict[str, float]:
        raise DiskFullError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Payoff, "evaluate", full)
        with pytest.raises(DiskFullError, match="the disk is full"):
            lab.run("sft")
    assert lab.store.load_all() == []
    assert lab.run("sft").ran == {"ok": 1}


def test_data_are_not_asked_for_where_all_results_are_there(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sealed(env: Bandit, request: TrainingRequest) -> None:
        raise RequestError("sealed")

    lab.run("sft")
    monkeypatch.setattr(Bandit, "check_data", sealed)
    for objectives, told in (("sft", []), ("sft,dpo", ["sealed"])):
        fields = {"envs": "bandit", "scale": "smoke", "objectives": objectives, "results": lab.store.folder}
        suite = Suite.of(fields)
        assert refusals(plan(suite, lab.registry), suite) == told
        again = suite.model_copy(update={"rerun": "all"})
        assert refusals(plan(again, lab.registry), again) == ["sealed"]
    assert lab.run("sft").reused == 1


def test_no_training_waits_for_the_lock_of_another(lab: Lab) -> None:
    keys = ["abc1", "abc2"]  # that begin alike
    assert len({lab.store.lock(key) for key in keys}) == 2
