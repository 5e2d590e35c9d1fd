"""Evaluators that need no judge: style rules, held-out pairs."""
