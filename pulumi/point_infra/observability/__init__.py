"""CloudWatch: alarms, dashboard, log collection. Imports `edge`, `foundation` and `config`."""
