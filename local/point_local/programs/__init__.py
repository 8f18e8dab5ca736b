"""Programs of this machine: where they lie, how they are run, kept and shown. Imports no other room."""
