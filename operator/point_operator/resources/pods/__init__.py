"""What runs the service: pods, their container, scaling, their Service and the migration."""
