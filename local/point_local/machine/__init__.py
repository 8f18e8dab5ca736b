"""Machines of the local cluster, and the cluster that they are. Imports `programs` and `build`."""
