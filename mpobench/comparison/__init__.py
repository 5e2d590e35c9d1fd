"""Results beside the paper's: its tables, rank correlations, and its claims. Pure functions of results and tables."""
