"""Which program a start runs, how starts are counted, and what is left to do when they come to nothing."""
