"""What goes over the wire: bodies, errors, who calls, under which key. Imports no other room."""
