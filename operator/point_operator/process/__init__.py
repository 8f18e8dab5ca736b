"""kopf, the queue of looks, health and logs: what makes `control` run. No other room imports it."""
