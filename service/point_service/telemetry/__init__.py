"""Logs, metrics and traces. Imports `domain` and `contract` for the names of what is counted."""
