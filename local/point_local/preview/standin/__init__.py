"""Stand-ins for Pulumi's providers, so that the real engine runs without an account and without plugins.

`shapes` knows what a resource looks like, `provider` speaks the engine's protocol, `eks` builds what pulumi-eks
builds, `live` makes real API calls against a local moto. What they can't show: what AWS itself would refuse.
"""
