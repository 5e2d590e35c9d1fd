"""The record of a cell, and the folder that keeps the records."""
