"""Pictures of objectives, and of the searches that find them."""
