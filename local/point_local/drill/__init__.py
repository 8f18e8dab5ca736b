"""Load, blows, the books after them, attacks. Imports `failover`, `stack` and below."""
