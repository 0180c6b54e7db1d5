"""What keeps a terminal from being suspended again: notices, reminders, training, and the probation."""
