"""Training of adapters: stages, transformers' loop, data parallelism."""
