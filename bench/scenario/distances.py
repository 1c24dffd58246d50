"""The matrix of round trips between regions: one text for the emulated distance, the compose cluster and its check.  Pure.

Lines from ``#`` on are comments.  The first line names the regions, each further one is a region and its round trips in
milliseconds to all of them, in that order.
"""

from collections.abc import Mapping

MATRIX_NAME = "rtt.txt"
"""The file that comes with bench, beside its scenarios."""

LONGEST_MS = 60_000.0

RoundTrips = Mapping[str, Mapping[str, float]]


def parse_round_trips(text: str, label: str) -> dict[str, dict[str, float]]:
    """Return milliseconds by region and region; ValueError naming ``label`` and the line at fault."""
    lines = [(number, line.split("#")[0].split()) for number, line in enumerate(text.splitlines(), 1)]
    (_, regions), *rest = [(number, words) for number, words in lines if words] or [(0, [])]
    found = dict(_row(words, regions, f"'{label}' line {number}") for number, words in rest)
    if not regions or set(found) != set(regions) or len(rest) != len(regions):
        raise ValueError(f"'{label}' does not have one line for each of its regions ({', '.join(regions) or 'none'})")
    for one in regions:
        for other in regions:
            if found[one][other] != found[other][one]:
                raise ValueError(f"'{label}' has two distances between {one} and {other}")
        if found[one][one]:
            raise ValueError(f"'{label}' has a distance from {one} to itself")
    return found


def _row(words: list[str], regions: list[str], place: str) -> tuple[str, dict[str, float]]:
    region, *numbers = words
    if len(numbers) != len(regions):
        raise ValueError(f"{place} has {len(numbers)} distances for {len(regions)} regions")
    try:
        row = [float(number) for number in numbers]
    except ValueError:
        raise ValueError(f"{place} has a distance that is not a number") from None
    if not all(0 <= number < LONGEST_MS for number in row):
        raise ValueError(f"{place} has a distance that is not within a minute")
    return region, dict(zip(regions, row))
