"""What sits at the gateway: listener, guard of identity headers, JWT, rate limit. Imports `pods`."""
