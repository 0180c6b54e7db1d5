"""The way back, step by step."""
