"""Models and preference datasets of the Hugging Face hub, or of local folders: the paper's language models (§5)."""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from mpobench import DatasetCorruption, Prerequisite, RequestError, TrainingRequest, Workspace
from mpobench.env_kit.pair_labels import draw_flips
from mpobench.files.keys import content_key
from mpobench.files.text import expanded
from mpobench.registry.corruption_sum import decisions
from mpobench_llm.digests import file_digest
from mpobench_llm.env import LanguageEnv
from mpobench_llm.settings import EnvSettings, load_toml

if TYPE_CHECKING:
    import numpy as np

    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.hub_data import Split
    from mpobench_llm.models import Source
    from mpobench_llm.pairs import PreferencePair
    from mpobench_llm.tokens import Row


def identity(name: str) -> str | dict[str, str]:
    """What tells a model or dataset from others: its name on the hub, or the content of a local file or folder."""
    path = expanded(name)
    if not path.exists():
        return name
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    stats = [(file, file.stat()) for file in files]
    return {
        str(file.relative_to(path)): file_digest(file, stat.st_mtime_ns, stat.st_size) for file, stat in stats
    }


@functools.lru_cache(maxsize=2)
def _load(dataset: str, split: Split) -> list[PreferencePair]:
    """A split, which trainings on it share."""
    from mpobench_llm.hub_data import load_rows

    return load_rows(dataset, split).pairs


class HubEnv(LanguageEnv):
    """A model fine-tuned on pairs that come with their labels: of the corruptions, only flips make sense."""

    default_evaluators: ClassVar[tuple[str, ...]] = ("preference-accuracy",)
    libraries: ClassVar[tuple[str, ...]] = (*LanguageEnv.libraries, "datasets")

    @property
    @abstractmethod
    def model_name(self) -> str:
        """Hub id or folder."""

    @property
    @abstractmethod
    def dataset_name(self) -> str:
        """Hub id, folder or file."""

    @property
    def settings(self) -> EnvSettings:
        """What ``hub.toml`` says."""
        return EnvSettings.model_validate(load_toml("hub.toml"))

    def skip_reason(self, corruption: DatasetCorruption) -> str | None:
        """Whoever made the pairs, and judged them, did it before us."""
        others = decisions(corruption) - {"flip"}
        if not others:
            return None
        return f"{self.dataset_name} comes with its pairs and their labels: only flips (noisy) make sense"

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The model, the dataset, and how many of its pairs."""
        pairs = self.settings.scale[scale].dataset.pairs
        return {"model": identity(self.model_name), "dataset": identity(self.dataset_name), "pairs": pairs}

    def source(self, workspace: Workspace, precision: str = "auto") -> Source:
        """The model, from the hub's own cache or its folder."""
        from mpobench_llm.models import Source

        path = expanded(self.model_name)
        return Source(str(path) if path.exists() else self.model_name, self.model_name, precision)

    def preparations(self, request: TrainingRequest) -> list[Prerequisite]:
        """A download of model and dataset, so that workers do not do it side by side."""
        names = {"model": identity(self.model_name), "dataset": identity(self.dataset_name)}
        key = content_key({"make": "download", **names})
        path, precision = f"downloads/{key}", self.training_settings(request).precision
        payload: JsonObject = {"make": "download", "path": path, "precision": precision}
        return [Prerequisite(key, path, "download", payload)]

    def prepare(self, payload: JsonObject | TrainingRequest, workspace: Workspace) -> None:
        """Downloads, or makes an SFT stage."""
        if isinstance(payload, TrainingRequest):
            super().prepare(payload, workspace)
            return
        from mpobench_llm import models

        self._pairs("train")
        models.base(self.source(workspace, payload["precision"]))
        done = workspace.cache / payload["path"]
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()

    def _pairs(self, split: Split) -> list[PreferencePair]:
        return _load(self.dataset_name, split)

    def rows(self, request: TrainingRequest, workspace: Workspace) -> list[Row]:
        """The dataset's first pairs, with the labels that the corruption flips swapped."""
        dataset, training = request.dataset, self.training_settings(request)
        pairs = self._pairs("train")[: self.settings.scale[dataset.scale].dataset.pairs]
        flips = draw_flips(dataset.corruption, len(pairs), dataset.seed)
        return self._encoded(pairs, flips, training.max_length, workspace)

    def held_out_rows(self, scale: Scale, workspace: Workspace) -> list[Row]:
        """The test split's first pairs, or of a dataset without one, those that are kept away from training."""
        import numpy as np

        pairs = self._pairs("test")[: self.evaluation_settings(scale).pairs]
        return self._encoded(pairs, np.zeros(len(pairs), dtype=bool), 2048, workspace)

    def _encoded(
        self, pairs: list[PreferencePair], flips: np.ndarray, max_length: int, workspace: Workspace
    ) -> list[Row]:
        from mpobench_llm import models
        from mpobench_llm.tokens import Row, encode

        tokenizer = models.tokenizer(self.source(workspace).location)
        rows = [encode(tokenizer, pair, max_length, i) for i, pair in enumerate(pairs)]
        return [
            Row(row.prompt, row.completions[::-1], row.index) if flipped else row
            for row, flipped in zip(rows, flips.tolist(), strict=True)
        ]

    def instructions(self, scale: Scale, workspace: Workspace) -> list[str]:
        """First messages of the held-out conversations, each once."""
        asked = [pair.prompt[-1]["content"] for pair in self._pairs("test") if len(pair.prompt) == 1]
        if not asked:
            raise RequestError(
                f"{self.dataset_name} holds out no conversation of one message: name a file of instructions "
                "(judge:instructions=FILE)"
            )
        return list(dict.fromkeys(asked))[: self.evaluation_settings(scale).answers]


class Named(HubEnv):
    """A pair of model and dataset that the paper uses.

    Attributes:
        published: their hub ids.
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


class GemmaDpoMix(Named):
    """Gemma 7B on Argilla's mix of 7,000 preferences (first column of Table 2)."""

    published: ClassVar[tuple[str, str]] = ("google/gemma-7b", "argilla/dpo-mix-7k")


class GemmaCapybara(Named):
    """Gemma 7B on Capybara's conversations of several turns (second column of Table 2)."""

    published: ClassVar[tuple[str, str]] = (
        "google/gemma-7b",
        "argilla/distilabel-capybara-dpo-7k-binarized",
    )


class MistralDpoMix(Named):
    """Mistral 7B v0.3 on Argilla's mix of 7,000 preferences (third column of Table 2)."""

    published: ClassVar[tuple[str, str]] = ("mistralai/Mistral-7B-v0.3", "argilla/dpo-mix-7k")


class AnyModel(HubEnv):
    """Any causal language model on any preference dataset."""

    not_in_key: ClassVar[frozenset[str]] = frozenset({"model", "dataset"})  # see dataset_config

    model: str = Field(min_length=1, description="hub id of a model, or its folder")
    dataset: str = Field(min_length=1, description="hub id of a dataset, or a folder or file of it")

    @property
    def model_name(self) -> str:
        """As given."""
        return self.model

    @property
    def dataset_name(self) -> str:
        """As given."""
        return self.dataset
