"""Builders: what a PointService wants, as manifests. Pure; None means that the child must not exist."""
