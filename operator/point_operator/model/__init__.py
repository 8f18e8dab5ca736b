"""What a PointService is, and what its children are called. Pure; imports no other room."""
