"""Environments: models and datasets of the Hugging Face hub, and smollm-style."""
