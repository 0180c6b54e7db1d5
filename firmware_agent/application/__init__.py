"""The merchant's application to be put back: who applies, with which materials, and what became of it."""
