"""Dashboards drawn from live data; who uses the processor. Imports `machine`, `stack` and `programs`."""
