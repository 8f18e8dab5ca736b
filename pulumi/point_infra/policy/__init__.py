"""Rules over every resource, and their CrossGuard pack. Pure but for the pack."""
