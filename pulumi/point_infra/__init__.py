"""The AWS side of the point platform: one component a file, one settings object in, outputs out."""
