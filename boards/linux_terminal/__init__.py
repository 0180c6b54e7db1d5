"""The Linux terminal: whatever is attached, as its configuration lists it."""
