"""Who the terminal is: its keys, and what it asks a certificate with."""
