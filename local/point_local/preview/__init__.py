"""The plan of the AWS side through the real Pulumi engine. Imports `programs` and `build`."""
