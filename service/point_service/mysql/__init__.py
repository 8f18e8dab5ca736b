"""The database: connections, transactions, schema, every statement. Imports `domain`, `contract` and `telemetry`."""
