"""Dashboards drawn from live data. Imports `stack` and `programs`."""
