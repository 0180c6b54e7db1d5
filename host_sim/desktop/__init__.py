"""The page on which people work with simulated terminals: its server, and what it shows."""
