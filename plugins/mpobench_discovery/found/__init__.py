"""Objectives that this plugin has found: objective files with the provenance of their searches."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent

NOISY_01, NOISY_03, MIXED = (FOLDER / f"1s-mpo-{name}.json" for name in ("noisy-0.1", "noisy-0.3", "mixed"))
"""One-step MPO with learned φ, ψ and g, evolved on the Three-Legged Ant under the corruption in the name."""
