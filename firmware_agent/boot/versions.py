"""Versions of the firmware: whole numbers with dots between them, compared number by number: 1.10 is newer than 1.9.2, and 1.0 is 1."""

MOST_CHARACTERS = 20


def is_version(text: str) -> bool:
    """ASCII digits alone: Python takes more for digits."""
    numbers = text.split(".")
    return len(text) <= MOST_CHARACTERS and all([number and all(["0" <= digit <= "9" for digit in number]) for number in numbers])


def is_newer(version: str, other: str) -> bool:
    """Whether `version` is newer than `other`. Raises ValueError for what is no version."""
    return _numbers(version) > _numbers(other)


def _numbers(version: str) -> "list[int]":
    if not is_version(version):
        raise ValueError("not a version")
    numbers = [int(number) for number in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
