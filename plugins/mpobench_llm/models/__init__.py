"""Models and their text: loading, adapters, chat templates, tokens, log-probabilities."""
