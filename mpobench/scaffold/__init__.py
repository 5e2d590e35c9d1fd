"""Plugins to begin with: ``mpobench new`` writes one from the example beside it, which is a plugin itself."""
