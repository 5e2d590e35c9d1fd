"""Verification of published results: their keys, and cells that are computed again."""
