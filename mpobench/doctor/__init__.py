"""Checks of this machine and installation: what works, what does not, and what to do."""
