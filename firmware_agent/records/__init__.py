"""What is kept of what happened, and told of it: the evidence log, the timeline and summary of a suspension, the audit."""
