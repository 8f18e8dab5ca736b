"""What it costs a month: what is declared, priced by a dated list."""
