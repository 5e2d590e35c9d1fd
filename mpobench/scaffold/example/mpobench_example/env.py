"""An environment in numpy alone: a bandit with three arms, whose policies are three logits."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mpobench import DivergedError, Env, PreferenceBatch, SequenceLogps, Trained, TrainingRequest, Workspace
from mpobench.env_kit.env_file import Settings, resolve
from mpobench.env_kit.pair_labels import draw_sources, label
from mpobench.protocols import JsonObject, Scale

PULLS, PAYOFFS = 20, np.array([0.0, 0.5, 1.0])
AGENTS = np.array([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]])  # logits of the original and of the target agent


class Training(Settings):
    """Fields that ``mpobench run --training epochs=5`` sets."""

    epochs: int = 20
    learning_rate: float = 0.5


class Arms(Env):
    """Learn which arm pays. A trajectory is 20 pulls, and its return is their payoff."""

    default_evaluators: ClassVar[tuple[str, ...]] = ("payoff",)
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The number of pairs."""
        return {"pairs": {"smoke": 32, "quick": 128, "paper": 1024}[scale]}

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The defaults, with the user's overrides above them."""
        return resolve(Training, "training", [request.overrides]).model_dump()

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """Gradient descent; an objective with two stages follows as many epochs of cloning the chosen side."""
        data, config, objective = request.dataset, self.training_config(request), request.objective
        sources = draw_sources(data.corruption, self.dataset_config(data.scale)["pairs"], data.seed)
        pulls = np.random.default_rng(data.seed).multinomial(PULLS, np.exp(log_softmax(AGENTS))[sources])
        chosen = label(data.corruption, sources, pulls @ PAYOFFS, data.seed).chosen
        sides = [pulls[np.arange(len(pulls)), side] for side in (chosen, 1 - chosen)]  # counts: (pairs, arms)
        policy, losses = AGENTS[0], []
        for cloning in (True, False) if objective.two_stage else (False,):
            reference = policy
            for progress in np.linspace(0, 1, config["epochs"]):
                batches = [
                    PreferenceBatch(*logps(sides, policy + step), *logps(sides, reference), progress=progress)
                    for step in np.eye(4, 3, -1) / 1e6  # none, then one along each logit
                ]
                values = [-batch.chosen.mean if cloning else objective.loss(batch) for batch in batches]
                here, *beside = np.mean(values, axis=1)
                policy = policy - config["learning_rate"] * (beside - here) * 1e6
                if not np.isfinite(policy).all():
                    raise DivergedError("the policy is not finite")
                losses.append(float(here))
                workspace.report("training", float(progress))
        return Trained(policy, {"loss": losses})

    def save_policy(self, policy: Any, folder: Path) -> None:
        """Writes the logits."""
        np.save(folder / "logits.npy", policy)

    def load_policy(self, folder: Path) -> Any:
        """Reads the logits."""
        return np.load(folder / "logits.npy")


def logps(sides: list[Any], logits: Any) -> tuple[SequenceLogps, SequenceLogps]:
    """Log π of the trajectories of both sides."""
    of_arm, steps = log_softmax(logits), np.full(len(sides[0]), PULLS)
    return SequenceLogps(sides[0] @ of_arm, steps), SequenceLogps(sides[1] @ of_arm, steps)


def log_softmax(logits: Any) -> Any:
    """Log-probabilities of the arms."""
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
