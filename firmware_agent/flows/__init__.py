"""Flows: resumable sequences of pages. Where a flow stands is in the terminal's state, so that a power cut loses no step."""
