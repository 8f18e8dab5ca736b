"""`make console`: the stack as a live page on loopback. Imports `look`, `drill`, `failover`, `stack` and below."""
