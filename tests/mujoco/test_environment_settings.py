"""What the environment plans: configurations, overrides, shared files, refusals."""

from __future__ import annotations

from dataclasses import replace

import in_process
import pytest
from mujoco_samples import request

from mpobench import RequestError
from mpobench.env_kit.env_file import ObjectiveSettings
from mpobench.registry.registry import get_registry
from mpobench_mujoco import agents
from mpobench_mujoco.settings import TrainingSettings

SCALES = ["smoke", "quick", "paper"]
OBJECTIVES = [registered.card.name for registered in get_registry().cards("objective")]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"epoch": 3}, r"training: no field 'epoch': did you mean 'epochs'.*fields: start, epochs"),
        ({"epochs": 0}, r"training: epochs=0: .*greater than or equal to 1"),
        ({"learning_rate": -1.0}, r"training: learning_rate=-1\.0: .*greater than 0"),
        ({"learning_rate": float("nan")}, r"training: learning_rate=nan"),
        ({"keep_optimizer_state": "perhaps"}, r"training: keep_optimizer_state='perhaps'"),
        ({"pairs_per_update": 9}, r"pairs_per_update = 9 is more than the dataset's 8 pairs"),
        ({"po_pairs_per_update": 9}, r"po_pairs_per_update = 9 is more than the dataset's 8 pairs"),
    ],
)
def test_overrides_are_validated(tla, overrides, said):
    with pytest.raises(RequestError, match=said) as caught:
        tla.training_config(request(tla, **overrides))
    assert "\n" not in str(caught.value)


def test_the_user_is_above_the_objective_above_the_scale_above_the_environment(tla):
    scale = type(tla.settings.scale["quick"]).model_validate(
        {
            "dataset": {"pairs": 8},
            "evaluation": {"episodes": 8},
            "training": {"epochs": 3, "sft_epochs": 4, "po_epochs": 5},
        }
    )
    settings = tla.settings.model_copy(
        update={
            "training": {"epochs": 2, "start": "random"},
            "scale": {"quick": scale},
            "objective": {"dpo": ObjectiveSettings(training={"sft_epochs": 6, "po_epochs": 7})},
        }
    )
    resolved = settings.training_settings(TrainingSettings, "quick", "dpo", {"po_epochs": 8})
    assert (resolved.epochs, resolved.sft_epochs, resolved.po_epochs) == (3, 6, 8)
    assert resolved.start == "random"
    assert resolved.learning_rate == 1e-3


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_has_a_valid_configuration_at_every_scale(tla, scale, name):
    built = get_registry().build("objective", name, tla.objective_defaults)
    if "reduction" in type(built.component).model_fields:
        assert built.component.reduction == "mean"
    wanted = request(tla, name)
    config = tla.training_config(replace(wanted, dataset=replace(wanted.dataset, scale=scale)))
    assert ("epochs" in config) != ("sft_epochs" in config)
    assert ("sft_epochs" in config) == built.component.two_stage


def at_scale(tla, objective: str, scale: str = "quick", **overrides):
    wanted = request(tla, objective, **overrides)
    return replace(wanted, dataset=replace(wanted.dataset, scale=scale))


@pytest.mark.parametrize(
    ("objective", "scale", "overrides", "update"),
    [
        ("dpo", "quick", {}, 2),
        ("kto", "quick", {}, 16),
        ("bco_pair", "quick", {}, 80),
        ("bco_pair:shift=false", "quick", {}, 2),
        ("aot", "smoke", {}, 8),
        ("kto", "quick", {"pairs_per_update": 18}, 18),
        ("kto", "quick", {"pairs_per_update": 4}, 16),
        ("kto", "quick", {"po_pairs_per_update": 4}, 4),
        ("dpo", "quick", {"po_pairs_per_update": 4}, 4),
        ("orpo", "quick", {"po_pairs_per_update": 4}, 4),
    ],
)
def test_a_loss_that_depends_on_its_batch_gets_one(tla, objective, scale, overrides, update):
    wanted = at_scale(tla, objective, scale, **overrides)
    assert tla.pairs_per_update(wanted) == update
    config = tla.training_config(wanted)
    assert config.get("po_pairs_per_update", config["pairs_per_update"]) == update
    cloning = overrides.get("pairs_per_update", 2)
    if wanted.objective.two_stage:
        assert config["pairs_per_update"] == cloning, "the SFT stage stays that of all others"
        shared = at_scale(tla, "ipo", scale, pairs_per_update=cloning)
        assert tla.sft_key(wanted) == tla.sft_key(shared)
        assert (tla.group_key(wanted) == tla.group_key(shared)) == (update == cloning)
    else:
        assert "po_pairs_per_update" not in config


def test_a_batch_of_the_usual_size_is_not_in_the_key(tla):
    """Keys of all other losses are older than the field; that of this one at two pairs is what it was before."""
    assert "po_pairs_per_update" not in tla.training_config(at_scale(tla, "dpo"))
    at_two = tla.training_config(at_scale(tla, "kto", po_pairs_per_update=2))
    assert tla.training_config(at_scale(tla, "kto")) == {**at_two, "po_pairs_per_update": 16}
    assert "po_pairs_per_update" not in at_two


def test_the_file_names_only_objectives_and_fields_that_exist(tla):
    for name, section in tla.settings.objective.items():
        assert name in OBJECTIVES
        assert section.training.keys() <= TrainingSettings.model_fields.keys()
        assert (
            section.fields.keys()
            <= type(get_registry().build("objective", name).component).model_fields.keys()
        )


def test_a_field_that_a_training_does_not_read_is_no_part_of_its_key(tla):
    def config(objective, **overrides):
        return tla.training_config(request(tla, objective, **overrides))

    assert config("sft", po_epochs=5) == config("sft", po_learning_rate=1e-3) == config("sft")
    assert config("dpo", epochs=5) == config("dpo")
    assert config("dpo", po_epochs=5) != config("dpo")
    assert config("sft", epochs=5) != config("sft")
    assert config("sft", stride=10) == config("sft") != config("sft", stride=4)
    assert config("sft", schedule="constant") == config("sft") != config("sft", schedule="linear")


def test_an_sft_stage_depends_on_data_seed_and_its_own_settings(tla):
    def key(objective="dpo", corruption="base", seed=0, **overrides):
        return tla.prerequisites(request(tla, objective, corruption, seed, **overrides))[-1].key

    assert key() == key("ipo") == key("dpo:beta=3") == key(po_learning_rate=1e-2) == key(po_epochs=9)
    assert key() == key(keep_optimizer_state=False)
    assert key() == key(stride=10) == key(schedule="constant")
    others = [key(corruption="mixed"), key(seed=1), key(sft_epochs=7), key(learning_rate=2e-3), key(stride=4)]
    assert len({key(), *others, key(schedule="linear")}) == 7


def test_blocks_depend_on_neither_corruption_nor_objective_and_are_new_for_each_seed(tla):
    def keys(*args, **overrides):
        found = tla.prerequisites(request(tla, *args, **overrides))
        return {each.key for each in found if each.phase == "rollouts"}

    assert keys("dpo") == keys("sft", "noisy:0.3") == keys("sft", "bad-judge:100")
    assert not keys("sft") & keys("sft", seed=7)
    assert keys("sft", "base") < keys("sft", "mixed")
    assert keys("sft", "mixed") == keys("dpo", "mixed+noisy:0.1", epochs=2)


def test_prerequisites_come_after_those_that_they_need(tla):
    found = tla.prerequisites(request(tla, "dpo", "mixed"))
    for index, each in enumerate(found):
        assert set(each.needs) <= {before.key for before in found[:index]}
    assert set(found[-1].needs) == {each.key for each in found[:-1]}
    assert {each.phase for each in tla.prerequisites(request(tla, "sft"))} == {"rollouts"}


@pytest.mark.parametrize("scale", SCALES)
def test_blocks_cover_every_row_of_both_sides_once(tla, scale):
    wanted = replace(request(tla).dataset, scale=scale)
    pairs = tla.dataset_settings(scale).pairs
    for side in (0, 1):
        rows = [
            row
            for block in tla.blocks(wanted)
            if block.draw == side
            for row in range(block.first, block.first + block.episodes)
        ]
        assert sorted(rows) == list(range(pairs))


def test_a_backend_without_agents_says_how_to_train_them(registry):
    mjx = registry.build("env", "tla:backend=positional").component
    with pytest.raises(RequestError, match="agents train tla:positional original") as caught:
        mjx.dataset_config("smoke")
    assert "spring" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_backend_is_refused(registry):
    with pytest.raises(RequestError, match="backend"):
        registry.build("env", "tla:backend=havok")


def test_a_run_on_a_backend_without_agents_ends_with_one_line():
    run = in_process.invoke("run", "--objectives", "dpo", "--dry-run", "--envs", "tla:backend=positional")
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1
    assert "agents train tla:positional original" in run.stderr
    assert "Traceback" not in run.stderr


def test_dataset_config_holds_what_decides_the_data(tla):
    config = tla.dataset_config("paper")
    assert config["agents"] == {role: tla.agent(role)[1].sha256 for role in agents.ROLES}
    assert config["task"]["action_std"] == tla.settings.task.action_std
    assert config["pairs"] > tla.dataset_config("smoke")["pairs"]
