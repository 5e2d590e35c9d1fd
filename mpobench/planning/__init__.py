"""From a suite to a plan: cells, trainings, and their content keys. Nothing is computed or written."""
