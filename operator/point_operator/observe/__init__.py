"""What is there: PointServices, gateways, Secrets, pods. Imports `model`, `kube` and `resources`."""
