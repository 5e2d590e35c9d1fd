"""Answers: sampling, files of instructions, AlpacaEval's format."""
