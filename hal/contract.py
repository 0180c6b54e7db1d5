"""A contract is prose and a checked list: which attributes a device of a kind has, by level."""

LIFE_CYCLE = ("open", "claim", "enable", "check_health", "disable", "release", "close", "state", "kind", "part", "level")


class Contract:
    """kind: 'printer'; levels: {1: ("print_text", ...), 2: (...)}; a device of level n has all up to n."""

    def __init__(self, kind: str, levels: "dict[int, tuple[str, ...]]") -> None:
        self.kind = kind
        self.levels = levels

    def missing(self, device: object) -> "list[str]":
        """The names that `device` lacks for the level it claims; empty when it keeps the contract."""
        level = getattr(device, "level", 0)
        names = list(LIFE_CYCLE)
        for number in sorted(self.levels):
            if number <= level:
                names.extend(self.levels[number])
        lacking = [name for name in names if not hasattr(device, name)]
        if getattr(device, "kind", None) != self.kind:
            lacking.append("kind == " + repr(self.kind))
        if level not in self.levels:
            lacking.append("level in " + repr(sorted(self.levels)))
        return lacking
