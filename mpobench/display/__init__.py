"""Progress with an ETA, tables, and output to any terminal."""
