"""What the larger commands do, step by step. Imports every room but `preview`, `look` and `alone`."""
