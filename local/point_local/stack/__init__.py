"""What runs on the cluster, and the edge before it. Imports `machine` and below."""
