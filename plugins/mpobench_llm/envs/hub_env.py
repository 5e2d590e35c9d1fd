"""Models and preference datasets of the Hugging Face hub, or of local folders: the paper's language models (§5)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mpobench import DatasetCorruption, Prerequisite, TrainingRequest, Workspace
from mpobench.env_kit.env_file import load_env_file
from mpobench.env_kit.pair_labels import draw_flips
from mpobench.files.atomic import write_atomically
from mpobench.files.keys import content_key
from mpobench.registry.corruption_sum import decisions
from mpobench_llm.configuration import OVERLONG_ADVICE
from mpobench_llm.envs.hub_names import Origin, cached_file, find, remember
from mpobench_llm.envs.hub_rows import HubRows
from mpobench_llm.envs.language_env import LanguageEnv
from mpobench_llm.models.lengths import Bound, KeptRows
from mpobench_llm.models.positions import check_positions, positions_of_file
from mpobench_llm.settings import EnvSettings

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.models.base_model import ModelSource
    from mpobench_llm.models.tokens import Row

ROWS = 2
"""Version of the rows that are made of pairs, raised when their tokens change."""


@dataclass(frozen=True)
class Download:
    """A download of the model and the dataset, and the check that the training has pairs.

    Attributes:
        path: File that marks its end, relative to the cache.
        precision: Precision of the model.
        pairs: Number of pairs; None for all.
        bound: Largest length of a pair.
    """

    path: str
    precision: str
    pairs: int | None
    bound: Bound


class HubEnv(LanguageEnv):
    """A model fine-tuned on pairs with given labels: of the corruptions, only flips apply."""

    default_evaluators: ClassVar[tuple[str, ...]] = ("preference-accuracy",)
    libraries: ClassVar[tuple[str, ...]] = (*LanguageEnv.libraries, "datasets")

    @property
    @abstractmethod
    def model_name(self) -> str:
        """Hub id or folder of the model."""

    @property
    @abstractmethod
    def dataset_name(self) -> str:
        """Hub id, folder or file of the dataset."""

    @property
    def data_name(self) -> str:
        """The dataset's name."""
        return self.dataset_name

    @cached_property
    def model_origin(self) -> Origin:
        """Where the model is. Planning finds it, and the answer travels with this object to the workers."""
        return find(self.model_name, "model")

    @cached_property
    def dataset_origin(self) -> Origin:
        """Where the dataset is; likewise."""
        return find(self.dataset_name, "dataset")

    def as_recorded(self, dataset_config: JsonObject) -> HubEnv:
        """This environment at the commits that a result was computed with."""
        pinned = self.model_copy()
        for part, origin in (("model", self.model_origin), ("dataset", self.dataset_origin)):
            revision = dataset_config.get(part, {}).get("revision")
            if origin.local is None and isinstance(revision, str):
                pinned.__dict__[f"{part}_origin"] = replace(origin, revision=revision, problem="")
        return pinned

    @property
    def settings(self) -> EnvSettings:
        """The file ``hub.toml``."""
        return load_env_file(EnvSettings, "mpobench_llm.envs", "hub.toml")

    def skip_reason(self, corruption: DatasetCorruption) -> str | None:
        """Only label flips apply: pairs and labels are given."""
        others = decisions(corruption) - {"flip"}
        if not others:
            return None
        return f"{self.dataset_name} comes with its pairs and their labels: only flips (noisy) make sense"

    def _identities(self) -> JsonObject:
        return {"model": self.model_origin.identity, "dataset": self.dataset_origin.identity}

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The model and the dataset, with their commits on the hub, and the number of pairs."""
        return {**self._identities(), "pairs": self.dataset_settings(scale).pairs, "rows": ROWS}

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The fields of the training settings that decide this training's result.

        Raises:
            RequestError: As its base; or if the model is at hand, and has fewer positions than ``max_length``.
        """
        config = super().training_config(request)
        if file := cached_file(self.model_origin, "model", "config.json"):
            check_positions(self.model_name, positions_of_file(file), config["max_length"])
        return config

    def check_data(self, request: TrainingRequest) -> None:
        """Refuses what the hub could not be asked about, and local data of which no pair is kept.

        Raises:
            RequestError: In these cases.
        """
        for origin in (self.model_origin, self.dataset_origin):
            _ = origin.location  # raises
        if self.model_origin.local is not None and self.dataset_origin.local is not None:
            pairs = self.dataset_settings(request.dataset.scale).pairs
            self._rows.check_any(pairs, self.bound(request), OVERLONG_ADVICE)

    @property
    def _rows(self) -> HubRows:
        return HubRows(self.model_origin, self.dataset_origin)

    def source(self, workspace: Workspace, precision: str = "auto") -> ModelSource:
        """The model in the hub's own cache, or in its folder."""
        from mpobench_llm.models.base_model import ModelSource

        origin = self.model_origin
        return ModelSource(origin.location, origin.name, precision, origin.revision)

    def data_prerequisites(self, request: TrainingRequest) -> list[Prerequisite]:
        """One download of model and dataset, so that workers do not download side by side."""
        pairs, bound = self.dataset_settings(request.dataset.scale).pairs, self.bound(request)
        key = content_key(
            {
                "make": "download",
                "tried": True,
                "rows": ROWS,
                **self._identities(),
                "pairs": pairs,
                "bound": vars(bound),
            }
        )
        precision = self.training_settings(request).precision
        download = Download(f"downloads/{key}", precision, pairs, bound)
        return [Prerequisite(key, download.path, "download", download)]

    def prepare_data(self, payload: Download, workspace: Workspace) -> None:
        """Downloads model and dataset, checks that they fit, and tries the model, unless that has been done.

        Raises:
            RequestError: If no pair is kept, the model has fewer positions than a pair may have tokens, or its
                log-probabilities cannot be computed as they are.
        """
        done = workspace.cache / payload.path
        if done.exists():
            return
        from mpobench_llm.models.base_model import load_base
        from mpobench_llm.models.head import headless
        from mpobench_llm.models.layouts import layout_for

        source, bound = self.source(workspace, payload.precision), payload.bound
        check_positions(self.model_name, source.positions, bound.max_length)
        self._rows.check_any(payload.pairs, bound, OVERLONG_ADVICE)
        model, _ = load_base(source)
        with headless(model) as head:
            layout_for(model, head)
        remember(self.model_origin, "model")
        remember(self.dataset_origin, "dataset")
        write_atomically(done, "")

    def read_rows(self, request: TrainingRequest, workspace: Workspace) -> KeptRows:
        """The first pairs of the dataset; where the corruption flips a label, chosen and rejected are swapped."""
        dataset, rows = request.dataset, self._rows
        pairs = self.dataset_settings(dataset.scale).pairs
        count = len(rows.pairs("train").first(pairs).pairs)
        flips = draw_flips(dataset.corruption, count, dataset.seed)
        return rows.kept("train", pairs, self.bound(request), flips.tolist())

    def held_out_rows(self, scale: Scale, workspace: Workspace) -> list[Row]:
        """The first pairs of the test split, or of the rows held out of a dataset without one."""
        bound = self.held_out_bound(workspace)
        kept = self._rows.kept("test", self.evaluation_settings(scale).pairs, bound)
        return self.checked_held_out(kept, bound, workspace)

    def instructions(self, scale: Scale, workspace: Workspace) -> list[str]:
        """The held-out conversations of one message, each once, without those that leave no room for an answer."""
        count, max_tokens = self.evaluation_settings(scale).answers, self.settings.sampling.max_tokens
        limit = self.source(workspace).positions
        asked, long = self._rows.instructions(count, max_tokens, limit)
        if long:
            workspace.note(
                f"{self.data_name}, held out: {len(asked)} messages are asked; {long} are too long for the {limit} "
                f"positions of {self.model_name}"
            )
        return asked


class PublishedEnv(HubEnv):
    """A model and a dataset of the paper.

    Attributes:
        published: Hub ids of the model and the dataset.
    """

    published: ClassVar[tuple[str, str]]

    @property
    def model_name(self) -> str:
        """Hub id of the model."""
        return self.published[0]

    @property
    def dataset_name(self) -> str:
        """Hub id of the dataset."""
        return self.published[1]


class GemmaDpoMix(PublishedEnv):
    """Gemma 7B on Argilla's mix of 7,000 preferences (first column of Table 2)."""

    published: ClassVar[tuple[str, str]] = ("google/gemma-7b", "argilla/dpo-mix-7k")


class GemmaCapybara(PublishedEnv):
    """Gemma 7B on Capybara's conversations of several turns (second column of Table 2)."""

    published: ClassVar[tuple[str, str]] = (
        "google/gemma-7b",
        "argilla/distilabel-capybara-dpo-7k-binarized",
    )


class MistralDpoMix(PublishedEnv):
    """Mistral 7B v0.3 on Argilla's mix of 7,000 preferences (third column of Table 2)."""

    published: ClassVar[tuple[str, str]] = ("mistralai/Mistral-7B-v0.3", "argilla/dpo-mix-7k")


class AnyModel(HubEnv):
    """Any causal language model on any preference dataset."""

    not_in_key: ClassVar[frozenset[str]] = frozenset({"model", "dataset"})  # see dataset_config

    model: str = Field(min_length=1, description="hub id of a model (owner/name@revision), or its folder")
    dataset: str = Field(min_length=1, description="hub id of a dataset, likewise, or a folder or file of it")

    @property
    def model_name(self) -> str:
        """The field ``model``."""
        return self.model

    @property
    def dataset_name(self) -> str:
        """The field ``dataset``."""
        return self.dataset
