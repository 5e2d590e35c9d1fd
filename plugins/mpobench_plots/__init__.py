"""Pictures of objectives: their gradients and losses."""
