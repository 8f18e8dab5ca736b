"""What a user may configure, checked before the first resource. Pure: imports no Pulumi."""
