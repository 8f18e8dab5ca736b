"""Who goes when: a member at a time, by Redis and in the process. Imports `contract` and `telemetry`."""
