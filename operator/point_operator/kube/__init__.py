"""The Kubernetes API: read, apply, watch for drift, hold the lease. Imports `model`."""
