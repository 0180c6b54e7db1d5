"""The payment application beside the agent: what its host says, what was begun there, and how near the limits are."""
