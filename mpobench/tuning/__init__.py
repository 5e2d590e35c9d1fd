"""Tuning: values of objectives and trainings, searched per environment and corruption, on seeds of its own."""
