"""Models and preference datasets of the Hugging Face hub, or of local folders: the paper's language models (§5)."""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mpobench import DatasetCorruption, Prerequisite, RequestError, TrainingRequest, Workspace
from mpobench.env_kit.env_file import load_env_file
from mpobench.env_kit.pair_labels import draw_flips
from mpobench.files.atomic import write_atomically
from mpobench.files.keys import content_key
from mpobench.files.text import expanded
from mpobench.registry.corruption_sum import decisions
from mpobench_llm.envs.language_env import HELD_OUT_LENGTH, LanguageEnv
from mpobench_llm.file_digests import file_digest
from mpobench_llm.settings import EnvSettings

if TYPE_CHECKING:
    import numpy as np

    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.envs.hub_data import Split
    from mpobench_llm.models.base_model import ModelSource
    from mpobench_llm.models.preference_pair import PreferencePair
    from mpobench_llm.models.tokens import Row


def identity(name: str) -> str | dict[str, str]:
    """The identity of a model or dataset: its name on the hub, or the content of a local file or folder."""
    path = expanded(name)
    if not path.exists():
        return name
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return {str(file.relative_to(path)): file_digest(file) for file in files}


@functools.lru_cache(maxsize=2)
def _load_pairs(dataset: str, split: Split) -> list[PreferencePair]:
    """The pairs of a split, which trainings share."""
    from mpobench_llm.envs.hub_data import load_rows

    return load_rows(dataset, split).pairs


@dataclass(frozen=True)
class Download:
    """A download of the model and the dataset.

    Attributes:
        path: File that marks its end, relative to the cache.
        precision: Precision of the model.
    """

    path: str
    precision: str


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
    def settings(self) -> EnvSettings:
        """The file ``hub.toml``."""
        return load_env_file(EnvSettings, "mpobench_llm.envs", "hub.toml")

    def skip_reason(self, corruption: DatasetCorruption) -> str | None:
        """Only label flips apply: pairs and labels are given."""
        others = decisions(corruption) - {"flip"}
        if not others:
            return None
        return f"{self.dataset_name} comes with its pairs and their labels: only flips (noisy) make sense"

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The model, the dataset, and the number of pairs."""
        pairs = self.dataset_settings(scale).pairs
        return {"model": identity(self.model_name), "dataset": identity(self.dataset_name), "pairs": pairs}

    def source(self, workspace: Workspace, precision: str = "auto") -> ModelSource:
        """The model in the hub's own cache, or in its folder."""
        from mpobench_llm.models.base_model import ModelSource

        path = expanded(self.model_name)
        return ModelSource(str(path) if path.exists() else self.model_name, self.model_name, precision)

    def data_prerequisites(self, request: TrainingRequest) -> list[Prerequisite]:
        """One download of model and dataset, so that workers do not download side by side."""
        names = {"model": identity(self.model_name), "dataset": identity(self.dataset_name)}
        key = content_key({"make": "download", "tried": True, **names})
        download = Download(f"downloads/{key}", self.training_settings(request).precision)
        return [Prerequisite(key, download.path, "download", download)]

    def prepare_data(self, payload: Download, workspace: Workspace) -> None:
        """Downloads model and dataset, and tries the model, unless that has been done.

        Raises:
            RequestError: If the model's log-probabilities cannot be computed as they are.
        """
        done = workspace.cache / payload.path
        if done.exists():
            return
        from mpobench_llm.models.base_model import load_base
        from mpobench_llm.models.head import headless
        from mpobench_llm.models.layouts import layout_for

        self._pairs("train")
        model, _ = load_base(self.source(workspace, payload.precision))
        with headless(model) as head:
            layout_for(model, head)
        write_atomically(done, "")

    def _pairs(self, split: Split) -> list[PreferencePair]:
        return _load_pairs(self.dataset_name, split)

    def rows(self, request: TrainingRequest, workspace: Workspace) -> list[Row]:
        """The first pairs of the dataset; where the corruption flips a label, chosen and rejected are swapped."""
        dataset, training = request.dataset, self.training_settings(request)
        pairs = self._pairs("train")[: self.dataset_settings(dataset.scale).pairs]
        flips = draw_flips(dataset.corruption, len(pairs), dataset.seed)
        return self._encoded(pairs, flips, training.max_length, workspace)

    def held_out_rows(self, scale: Scale, workspace: Workspace) -> list[Row]:
        """The first pairs of the test split, or of the rows held out of a dataset without one."""
        import numpy as np

        pairs = self._pairs("test")[: self.evaluation_settings(scale).pairs]
        return self._encoded(pairs, np.zeros(len(pairs), dtype=bool), HELD_OUT_LENGTH, workspace)

    def _encoded(
        self, pairs: list[PreferencePair], flips: np.ndarray, max_length: int, workspace: Workspace
    ) -> list[Row]:
        from mpobench_llm.models.base_model import load_tokenizer
        from mpobench_llm.models.tokens import Row, encode

        tokenizer = load_tokenizer(self.source(workspace).location)
        rows = [encode(tokenizer, pair, max_length, i) for i, pair in enumerate(pairs)]
        return [
            Row(row.prompt, row.completions[::-1], row.index) if flipped else row
            for row, flipped in zip(rows, flips.tolist(), strict=True)
        ]

    def instructions(self, scale: Scale, workspace: Workspace) -> list[str]:
        """The held-out conversations of one message, each once."""
        messages = [pair.prompt[-1]["content"] for pair in self._pairs("test") if len(pair.prompt) == 1]
        if not messages:
            raise RequestError(
                f"{self.dataset_name} holds out no conversation of one message: name a file of instructions "
                "(judge:instructions=FILE)"
            )
        return list(dict.fromkeys(messages))[: self.evaluation_settings(scale).answers]


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

    model: str = Field(min_length=1, description="hub id of a model, or its folder")
    dataset: str = Field(min_length=1, description="hub id of a dataset, or a folder or file of it")

    @property
    def model_name(self) -> str:
        """The field ``model``."""
        return self.model

    @property
    def dataset_name(self) -> str:
        """The field ``dataset``."""
        return self.dataset
