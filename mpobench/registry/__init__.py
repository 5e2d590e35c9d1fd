"""From names to components: what plugins offer, loaded with care, built from specs and objective files."""
