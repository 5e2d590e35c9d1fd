"""Objective files that are damaged, torn or hostile: each is one line that names the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from objective_file_samples import one_step, weights
from safetensors.numpy import load_file, save, save_file

from mpobench import save_objective
from mpobench.registry.objective_files import ObjectiveFileError
from mpobench.registry.registry import Registry

Spoil = Callable[[Path, dict[str, Any], dict[str, Any]], None]
DAMAGES: dict[str, tuple[Spoil, str]] = {
    "no file": (lambda path, card, tensors: path.unlink(), "cannot read objective file {path}: no such file"),
    "a folder": (
        lambda path, card, tensors: (path.unlink(), path.mkdir()),
        "cannot read objective file {path}: is a directory",
    ),
    "not JSON": (lambda path, card, tensors: path.write_text("{"), "objective file {path} is not JSON: "),
    "not UTF-8": (
        lambda path, card, tensors: path.write_bytes(b'"\xff'),
        "objective file {path} is not JSON: ",
    ),
    "not an object": (
        lambda path, card, tensors: path.write_text("[]"),
        "has format None, not 'mpobench-objec",
    ),
    "format": (
        lambda path, card, tensors: card.update(format="mpobench-objective/2"),
        "objective file {path} has format 'mpobench-objective/2', not 'mpobench-objective/1'",
    ),
    "no name": (lambda path, card, tensors: card.pop("name"), "'name' has to be given"),
    "bad name": (lambda path, card, tensors: card.update(name="a:b"), "name='a:b'"),
    "origin": (lambda path, card, tensors: card.update(origin="alien"), "origin='alien'"),
    "unknown entry": (lambda path, card, tensors: card.update(sumary="x"), "did you mean 'summary'?"),
    "name taken": (
        lambda path, card, tensors: card.update(name="dpo"),
        "objective file {path} is named 'dpo', like an objective of mpobench 0.1.0",
    ),
    "unknown objective": (
        lambda path, card, tensors: card.update(objective="1s-mpoo"),
        "objective file {path}: unknown objective '1s-mpoo': did you mean '1s-mpo'?",
    ),
    "unknown field": (
        lambda path, card, tensors: card["fields"].update(lamb=1),
        "objective file {path}: no field 'lamb': did you mean 'lam'?",
    ),
    "invalid value": (
        lambda path, card, tensors: card["fields"].update(lam=-1),
        "lam=-1: input should be gre",
    ),
    "infinite value": (
        lambda path, card, tensors: card["fields"].update(lam=1e999),
        "lam=inf: input should be a",
    ),
    "value for tensors": (
        lambda path, card, tensors: (
            card["fields"].update(phi_network="zeros"),
            _without(tensors, "phi_network"),
        ),
        "phi_network='zeros': arrays cannot be written in a spec",
    ),
    "twice": (
        lambda path, card, tensors: card["fields"].update(phi_network=None),
        "'phi_network' is given twice",
    ),
    "no tensors file": (
        lambda path, card, tensors: card["tensors"].update(file="gone.safetensors"),
        "cannot read the tensors of objective file {path}, gone.safetensors: no such file",
    ),
    "path traversal": (
        lambda path, card, tensors: card["tensors"].update(file="../objective.safetensors"),
        "the tensors are a .safetensors file beside the card, named without a folder",
    ),
    "absolute path": (
        lambda path, card, tensors: card["tensors"].update(file="/etc/x.safetensors"),
        "named without a folder",
    ),
    "a pickle": (
        lambda path, card, tensors: card["tensors"].update(file="objective.pkl"),
        "a .safetensors file",
    ),
    "digest": (
        lambda path, card, tensors: card["tensors"].update(sha256="0" * 64),
        "objective.safetensors is not the file that it was saved with (its SHA-256 differs)",
    ),
    "no digest": (lambda path, card, tensors: card["tensors"].update(sha256=""), "tensors.sha256=''"),
    "field of tensors": (
        lambda path, card, tensors: tensors.update({"psi_netwrk.bias": weights(0)["bias"]}),
        "no field 'psi_netwrk': did you mean 'psi_network'?",
    ),
    "tensor of no field": (
        lambda path, card, tensors: tensors.update(bias=weights(0)["bias"]),
        "no field 'bias'",
    ),
    "missing tensor": (
        lambda path, card, tensors: tensors.pop("g_network.bias"),
        "the network has no tensor 'bias'",
    ),
    "shape": (
        lambda path, card, tensors: tensors.update({"g_network.bias": np.zeros(126, np.float32)}),
        "'bias' has shape (126,), not (9, 14)",
    ),
    "dtype": (
        lambda path, card, tensors: tensors.update({"g_network.bias": np.zeros((9, 14))}),
        "'bias' has dtype float64, not float32",
    ),
    "negative kernel": (
        lambda path, card, tensors: tensors.update({"g_network.kernel_in": -np.ones((9, 14), np.float32)}),
        "'kernel_in' has a negative number",
    ),
    "not finite": (
        lambda path, card, tensors: tensors.update({"g_network.bias": np.full((9, 14), np.nan, np.float32)}),
        "'bias' holds a number that is not finite",
    ),
}


def _without(tensors: dict[str, Any], field: str) -> None:
    for name in [name for name in tensors if name.startswith(f"{field}.")]:
        del tensors[name]


def _store(found: Path, card: dict[str, Any], content: bytes) -> None:
    """Other tensors, and a card that states their digest."""
    found.with_suffix(".safetensors").write_bytes(content)
    card["tensors"]["sha256"] = hashlib.sha256(content).hexdigest()
    found.write_text(json.dumps(card))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_line_that_names_the_file(registry: Registry, found: Path, damage: str) -> None:
    spoil, line = DAMAGES[damage]
    before = found.read_bytes()
    card, stored = json.loads(before), found.with_suffix(".safetensors")
    tensors = load_file(stored)
    spoil(found, card, tensors)
    if found.is_file() and found.read_bytes() == before:
        content = save(tensors)
        if content != stored.read_bytes():
            stored.write_bytes(content)
            card["tensors"]["sha256"] = hashlib.sha256(content).hexdigest()
        found.write_text(json.dumps(card))
    with pytest.raises(ObjectiveFileError) as caught:
        registry.build("objective", str(found))
    message = str(caught.value)
    assert line.format(path=found) in message
    assert f"objective file {found}" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\xff" * 100])
def test_tensors_that_are_no_safetensors(registry: Registry, found: Path, content: bytes) -> None:
    _store(found, json.loads(found.read_text()), content)
    with pytest.raises(ObjectiveFileError, match=r"objective\.safetensors is no safetensors file of numbers"):
        registry.build("objective", str(found))


def test_numbers_that_numpy_does_not_have(registry: Registry, found: Path) -> None:
    stored = found.with_suffix(".safetensors")
    save_file({"g_network.bias": np.zeros((9, 14), np.float16)}, stored)
    content = stored.read_bytes().replace(b'"F16"', b'"BF16"').replace(b"  ", b" ", 1)
    _store(found, json.loads(found.read_text()), content)
    with pytest.raises(ObjectiveFileError) as caught:
        registry.build("objective", str(found))
    assert "\n" not in str(caught.value)


def test_a_torn_pair_of_files_is_noticed(registry: Registry, found: Path) -> None:
    before = found.read_text()
    save_objective(found, one_step(g_network=weights(9)), "1s-mpo", name="found", summary="X")
    found.write_text(before)
    with pytest.raises(ObjectiveFileError, match="SHA-256 differs"):
        registry.build("objective", str(found))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[" * 200_000, "is not JSON"),
        ('{"format": "mpobench-objective/1", "provenance": {"by": "\\ud800"}}', "UTF-8"),
        ('{"format": "mpobench-objective/1", "summary": "\\u001b[31mred"}', "summary="),
    ],
)
def test_what_would_harm_the_reader_is_one_line(
    registry: Registry, tmp_path: Path, content: str, line: str
) -> None:
    (tmp_path / "o.json").write_text(content)
    with pytest.raises(ObjectiveFileError) as caught:
        registry.build("objective", str(tmp_path / "o.json"))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
