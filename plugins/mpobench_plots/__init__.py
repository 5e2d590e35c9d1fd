"""Pictures of objectives: gradients over the plane of log-probabilities, losses over the margin."""
