"""The controller that stands in for Aurora's and ElastiCache's failover. Imports `stack` and below."""
