"""What is installed in the cluster: charts, manifests, the PointService. Imports `foundation`, `data` and `config`."""
