"""The rules of the point programme, pure decisions over data. Imports `contract` alone, and no input or output."""
