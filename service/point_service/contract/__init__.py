"""What goes over the wire: what bodies are made of, errors, who calls, under which key. Imports no other room."""
