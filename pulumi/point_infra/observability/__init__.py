"""CloudWatch: alarms, dashboard, log collection. Imports `foundation`."""
