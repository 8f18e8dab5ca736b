"""Where points are kept: Aurora and ElastiCache. Imports `foundation` and `config`."""
