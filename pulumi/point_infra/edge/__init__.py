"""From a name to the gateway: DNS, certificate, load balancer, standby page. Imports `foundation` and `config`."""
