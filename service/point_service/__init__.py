"""The point service: a member's loyalty points, each traced from grant to order."""

VERSION = "0.1.0"
