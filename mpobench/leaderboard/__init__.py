"""Results as tables: standings, statistics, and the page. Pure functions of the results."""
