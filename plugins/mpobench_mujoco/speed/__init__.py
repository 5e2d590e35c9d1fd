"""How fast this machine does the benchmark's work, beside the floor and beside what one would use instead."""
