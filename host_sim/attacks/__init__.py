"""Hostile messages against a running terminal and its acquirer (docs/attacks.md)."""
