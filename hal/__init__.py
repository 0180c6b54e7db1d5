"""The devices of a terminal: one contract per kind, and drivers by part number."""
