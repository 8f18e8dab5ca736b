"""Who may reach the pods, and how calls to them go. Imports `pods` and `gateway`."""
