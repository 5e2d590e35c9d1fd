"""The five kinds of component, and what each promises.

A component is a frozen pydantic model: its fields are its options, described and bounded, so that a
spec string (``dpo:beta=0.2``), a TOML table and a Python call build the same object. The built-in
components use these classes exactly as a stranger's do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from mpobench.tensors import Tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mpobench.preferences import Array, PreferenceBatch, SequenceLogps
    from mpobench.workspace import Prerequisite, Workspace

Scale: TypeAlias = Literal["smoke", "quick", "paper"]
"""How much work a run spends: seconds (``smoke``), minutes (``quick``), or what the paper spent."""

JsonObject: TypeAlias = dict[str, Any]
"""What ``json.dumps`` accepts: it enters a content key, so it must say everything that decides a result."""

ORIGINAL, TARGET = 0, 1
"""The two agents that generate a pair: the one a policy starts from, and the one to learn."""


class Component(BaseModel):
    """Base of all components: frozen, hashable, and strict about its fields.

    Attributes:
        unkeyed: fields that decide no result, such as an address, or whose meaning is in the component's configuration,
            such as the content of a file: they stay out of content keys.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    unkeyed: ClassVar[frozenset[str]] = frozenset()


class Objective(Component, ABC):
    """A preference-optimization loss, written once against the Python array-API standard.

    The same object trains a brax policy under ``jax.jit``/``grad``/``vmap`` and a language model
    under torch autograd. Numeric fields must stay traceable: a trainer replaces them by tracers, so
    that tuning and evolution never recompile. That forbids Python branches on them (use ``xp.where``).
    Weights of a network are a field of type :class:`~mpobench.tensors.Tensors`, and traceable likewise.

    Attributes:
        needs_reference: whether ``loss`` reads ``batch.reference``. The reference policy is the one at the
            end of a supervised (SFT) stage.
    """

    needs_reference: ClassVar[bool] = False

    @property
    def two_stage(self) -> bool:
        """Whether training begins with an SFT stage, before this loss takes over."""
        return self.needs_reference

    @property
    def leaves(self) -> dict[str, Any]:
        """The traceable part: every float, and every ``Tensors`` as a plain dict of its arrays.

        A pytree, whose numbers a trainer replaces: ``objective.model_copy(update=leaves)`` is the loss at
        other leaves of the same structure, tracers included.
        """
        found: dict[str, Any] = {}
        for name, value in self:
            if isinstance(value, Tensors):
                found[name] = dict(value)
            elif type(value) is float:
                found[name] = value
        return found

    @property
    def skeleton(self) -> Objective:
        """The objective without its leaves: equal, and of equal hash, for all that share a compiled program."""
        empty = {float: 0.0, Tensors: Tensors({})}
        return self.model_copy(update={name: empty[type(getattr(self, name))] for name in self.leaves})

    @abstractmethod
    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair, to be minimised.

        Args:
            batch: log-probabilities of the pairs, arrays of shape ``(pairs,)``.

        Returns:
            ``(pairs,)``, in the batch's own dtype and array library.
        """


class DatasetCorruption(Component):
    """Three decisions about a preference dataset, and nothing else.

    The defaults are the paper's *base* dataset (§4.1). A subclass overrides the decisions that it corrupts;
    ``+`` composes corruptions that decide different things (``mixed+noisy:0.1``).
    """

    def sources(self, pairs: int, rng: np.random.Generator) -> NDArray[np.int8]:
        """Who generates each side of each pair.

        Returns:
            ``(pairs, 2)``, each entry ``ORIGINAL`` or ``TARGET``. Default: one of each.
        """
        import numpy as np

        return np.tile(np.array([ORIGINAL, TARGET], dtype=np.int8), (pairs, 1))

    def preference(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """How likely the judge is to prefer the first side.

        Args:
            returns: ``(pairs, 2)``, true returns of the two sides.

        Returns:
            ``(pairs,)`` probabilities. Default: Bradley-Terry at temperature 1 (Eq. 2).
        """
        from scipy.special import expit

        probability: NDArray[np.float64] = expit(returns[:, 0] - returns[:, 1])
        return probability

    def flip(self, pairs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which of the judge's labels are swapped afterwards.

        Returns:
            ``(pairs,)`` booleans. Default: none.
        """
        import numpy as np

        return np.zeros(pairs, dtype=np.bool_)


@dataclass(frozen=True)
class DatasetRequest:
    """Which preference dataset to build: the first link of the key chain.

    Attributes:
        corruption: of the data.
        seed: of sources, labels and flips.
        scale: how much data.
        key: content key of the dataset; what is derived from it may be cached under this.
    """

    corruption: DatasetCorruption
    seed: int
    scale: Scale
    key: str


@dataclass(frozen=True)
class TrainingRequest:
    """Which policy to train: a dataset, an objective and a configuration.

    Attributes:
        dataset: what to train on.
        objective_name: the card's name, under which environments keep their defaults.
        objective: the configured loss.
        seed: of the training: minibatch order and, where it applies, initial weights.
        overrides: fields of the environment's training configuration that the user set.
        key: content key of the training; what is derived from it may be cached under this. Empty while it is planned.
    """

    dataset: DatasetRequest
    objective_name: str
    objective: Objective
    seed: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True)
class Trained:
    """What a training leaves.

    Attributes:
        policy: whatever the environment's ``save_policy`` and evaluators understand.
        curves: one list per quantity, one entry per epoch: ``loss``, ``margin``, ``accuracy``,
            ``logp_chosen``, ``logp_rejected``, and ``stage`` (``sft`` or ``po``).
        seconds: wall time per part of the work.
    """

    policy: Any
    curves: dict[str, list[Any]]
    seconds: dict[str, float] = field(default_factory=dict)


class Env(Component, ABC):
    """A task with a true reward: builds preference datasets and trains policies on them.

    The ``*_config`` methods are pure and cheap (no jax, no torch, no files beyond the plugin's own): planning a
    run calls them thousands of times.

    Attributes:
        default_evaluators: specs of the evaluators that a run uses when it names none.
        libraries: distributions whose versions belong into every result.
    """

    default_evaluators: ClassVar[tuple[str, ...]]
    libraries: ClassVar[tuple[str, ...]] = ()

    def refuses(self, corruption: DatasetCorruption) -> str | None:
        """Why this corruption makes no sense here, or None. A reason becomes a *skip* in the matrix."""
        return None

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        """This environment's defaults for an objective's fields; explicit values win over them.

        Args:
            name: the objective's card name.
            fields: names of the fields that the objective has.
        """
        return {}

    @abstractmethod
    def dataset_config(self, scale: Scale) -> JsonObject:
        """Everything besides the env's own fields, corruption and seed that decides a dataset.

        Raises:
            RequestError: if the environment cannot build one (no agents for a backend, say).
        """

    @abstractmethod
    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The resolved training configuration: scale's, objective's defaults, user's overrides.

        Raises:
            RequestError: for an override that is unknown or out of range.
        """

    def prerequisites(self, request: TrainingRequest) -> Sequence[Prerequisite]:
        """The shared files that this training reads, each after those that it needs."""
        return ()

    def prepare(self, payload: JsonObject, request: TrainingRequest, workspace: Workspace) -> None:
        """Makes the file of one prerequisite, unless it is there. Safe under concurrent calls.

        Args:
            payload: the prerequisite's.
            request: a training that needs it.
            workspace: where to put it.
        """
        raise NotImplementedError(f"{type(self).__name__} declares prerequisites but cannot prepare them")

    def prepare_together(
        self, payloads: Sequence[JsonObject], requests: Sequence[TrainingRequest], workspace: Workspace
    ) -> None:
        """Makes the files of several alike prerequisites at once; those that cannot be made are left out.

        Args:
            payloads: the prerequisites'.
            requests: of each, a training that needs it.
            workspace: where to put them.
        """
        raise NotImplementedError(f"{type(self).__name__} has alike prerequisites but prepares each alone")

    @abstractmethod
    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """Trains one policy.

        Raises:
            DivergedError: when the loss or the weights leave the finite numbers.
        """

    def alike(self, request: TrainingRequest) -> str:
        """What trainings that can be carried out at once have in common (pure, cheap).

        Returns:
            any text; empty, the default, if this training is always carried out alone.
        """
        return ""

    def at_once(self) -> int:
        """How many alike trainings the device of this process, a worker, carries out best at once.

        1, the default, where workers in parallel are as fast.
        """
        return 1

    def train_together(
        self, requests: Sequence[TrainingRequest], workspace: Workspace
    ) -> Sequence[Trained | None]:
        """Trains the policies of several alike requests at once: up to rounding, what :meth:`train` does.

        Returns:
            one for each, with its share of the seconds; None where a training diverged.
        """
        raise NotImplementedError(f"{type(self).__name__} has alike trainings but carries each out alone")

    def search_defaults(self, scale: Scale) -> JsonObject:
        """This environment's own settings for the discovery of objectives, such as how members train.

        Args:
            scale: of the search.

        Returns:
            Values by name of the settings of ``mpobench discover``; those that are not there have general defaults.
        """
        return {}

    def pair_logps(
        self, request: DatasetRequest, workspace: Workspace
    ) -> tuple[SequenceLogps, SequenceLogps] | None:
        """Log π(τ) of both sides of a dataset's pairs under its reference policy, the cloned one: for pictures.

        Args:
            request: which dataset; what it takes to build it is made, or found in the workspace.
            workspace: where to keep that.

        Returns:
            (chosen, rejected), numpy arrays of shape ``(pairs,)`` in nats; None (the default) if the
            environment has no such numbers.
        """
        return None

    @abstractmethod
    def save_policy(self, policy: Any, folder: Path) -> None:
        """Writes a trained policy into an existing, empty folder (safetensors and JSON, never pickle)."""

    @abstractmethod
    def load_policy(self, folder: Path) -> Any:
        """Reads what :meth:`save_policy` wrote."""


@dataclass(frozen=True)
class Metric:
    """A number that an evaluator reports.

    Attributes:
        name: key in the results.
        unit: ``return``, ``%``, ``nats/step`` …
        higher_is_better: direction, for ranking and for bold print.
        summary: one line for documentation.
    """

    name: str
    unit: str
    higher_is_better: bool = True
    summary: str = ""


class Evaluator(Component, ABC):
    """Scores a trained policy.

    Attributes:
        metrics: what ``evaluate`` returns; the first is the one that leaderboards rank by.
    """

    metrics: ClassVar[tuple[Metric, ...]]

    def refuses(self, env: Env) -> str | None:
        """Why this evaluator does not fit an environment, or None. A reason becomes a *skip*."""
        return None

    @abstractmethod
    def config(self, env: Env, scale: Scale) -> JsonObject:
        """Everything besides the evaluator's own fields that decides the score (pure, cheap)."""

    @abstractmethod
    def evaluate(
        self, env: Env, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """The metrics of a policy, by name."""


class Launcher(Component, ABC):
    """Where cells run."""

    @abstractmethod
    def open(
        self, workers: int | None, report: Callable[[str, str, float], None]
    ) -> AbstractContextManager[Executor]:
        """An executor, closed with the context.

        Args:
            workers: how many tasks to run at once; None means what the place offers.
            report: called in this process with (task id, phase, fraction) where the launcher can carry
                progress from its workers (see ``mpobench.progress``); others leave it alone.
        """
