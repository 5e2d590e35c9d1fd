"""Preference-optimization losses, one file each, written once against the array-API standard."""
