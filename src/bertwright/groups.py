"""What belongs together, and so on one side of any split."""

from collections.abc import Hashable, Iterable


def connected(keys: Iterable[Iterable[Hashable]]) -> list[int]:
    """The number of each example's group: two that share a key are of one group, and so on from one to the next.

    Args:
        keys: of each example.

    Returns:
        For each example the number of an example of its group, the same one throughout the group.
    """
    parent: list[int] = []

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    first: dict[Hashable, int] = {}
    for number, own in enumerate(keys):
        parent.append(number)
        for key in own:
            parent[root(number)] = root(first.setdefault(key, number))
    return [root(number) for number in range(len(parent))]
