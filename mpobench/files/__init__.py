"""Files that are whole or absent, locks, content keys, and the folder that runs share."""
