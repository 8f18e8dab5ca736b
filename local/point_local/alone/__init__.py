"""Servers of this machine without a cluster, for `make serve` and the tests. Imports `build`, `machine`, `programs`."""
