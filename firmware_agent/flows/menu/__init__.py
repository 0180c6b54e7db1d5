"""What a person opens at the counter with the help key: a tree of entries, and the flows that they open."""
