"""The surface: requests in, answers out. Imports every other room, and none imports it."""
