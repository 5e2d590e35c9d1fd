"""Models that the tests share: a tiny one for nearly everything, and the one of smollm-style."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_samples import tiny_model

from mpobench import Workspace


@pytest.fixture(scope="session", autouse=True)
def arrow_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what datasets derives from the samples out of the user's cache."""
    from datasets import config

    before, config.HF_DATASETS_CACHE = config.HF_DATASETS_CACHE, tmp_path_factory.mktemp("arrow")
    yield
    config.HF_DATASETS_CACHE = before


@pytest.fixture(scope="session")
def smollm(shared_cache: Path) -> Path:
    """The folder of SmolLM2-135M-Instruct, where runs of the program find it too: converted once a session."""
    from mpobench_llm.envs.smollm_style.env import SmolLMStyle

    return Path(SmolLMStyle().source(Workspace(shared_cache)).location)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama of 30,000 parameters, float32, without a chat template."""
    return tiny_model(tmp_path_factory.mktemp("tiny"))
