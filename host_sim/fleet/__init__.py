"""Many terminals in one process, each the real agent, at one broker and one acquirer (docs/fleet.md)."""
