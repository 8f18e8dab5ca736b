"""What everything stands on: network, cluster, keys, logs, image repositories. Imports `config`."""
