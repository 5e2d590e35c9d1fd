"""``smollm-style``: a small model that must learn to answer by three rules."""
