"""What is built once: Go programs, packages, root file systems, images. Imports `programs`."""
