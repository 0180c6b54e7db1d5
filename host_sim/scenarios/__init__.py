"""What is done to a terminal and awaited of it, by the verbs of scenario files (docs/simulation.md)."""
