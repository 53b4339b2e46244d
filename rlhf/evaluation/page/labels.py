"""Names beside points, placed so that none covers another or a point where that can be helped."""

from collections.abc import Sequence
from typing import NamedTuple

from rlhf.evaluation.page.words import Words

LETTER, TALL = 6.8, 13.0  # pixels of a bold letter at 12 px, about; a Chinese character takes nearly two
AWAY = 8.0


class Label(NamedTuple):
    """A name for the point at x, y in pixels."""

    words: Words
    x: float
    y: float
    kind: str


class Placed(NamedTuple):
    """A label with the place of its text: baseline, and which end of it stands at x."""

    label: Label
    x: float
    y: float
    anchor: str


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "_Box") -> float:
        """The area that the two share."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0.0) * max(down, 0.0)


def place(
    labels: Sequence[Label], points: Sequence[tuple[float, float]], width: float, top: float
) -> list[Placed]:
    """Each label to the right, left, above or below its point, where it covers least; within the width."""
    taken = [_Box(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    placed: list[Placed] = []
    for label in labels:
        long = wide(label.words)
        best = min(_places(label), key=lambda one: _cost(_box(one, long), taken, width, top))
        taken.append(_box(best, long))
        placed.append(best)
    return placed


def wide(words: Words) -> float:
    """Pixels that the longer of the two languages takes."""
    chinese = sum(2 if ord(letter) > 0x2E80 else 1 for letter in words.zh)
    return LETTER * max(len(words.en), chinese)


def _places(label: Label) -> list[Placed]:
    x, y = label.x, label.y
    return [
        Placed(label, x + AWAY, y + 4, "start"),
        Placed(label, x - AWAY, y + 4, "end"),
        *(
            Placed(label, x, y + down, anchor)
            for anchor in ("middle", "end", "start")
            for down in (-9.0, 17.0, 29.0)
        ),
    ]


def _box(one: Placed, long: float) -> _Box:
    left = one.x - {"start": 0.0, "middle": long / 2, "end": long}[one.anchor]
    return _Box(left, one.y - TALL + 3, left + long, one.y + 3)


def _cost(box: _Box, taken: Sequence[_Box], width: float, top: float) -> float:
    outside = max(-box.left, 0.0) + max(box.right - width, 0.0) + max(top - box.top, 0.0)
    return 1000 * outside + sum(box.overlap(other) for other in taken)
