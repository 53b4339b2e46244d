"""The text of an answer while its tokens come: nothing is said that a later token could take back."""

from collections.abc import Sequence

from rlhf.data.encoding import Encoder
from rlhf.records import Prompt

_BROKEN = "�"  # what an unfinished character decodes to


class Spoken:
    """One answer. `push` gives what became certain with a token, `rest` what is left at the end.

    Held back are the bytes of an unfinished character, and text that may be the beginning of a stop string.
    The pieces together are `Encoder.decode` of all tokens, cut before the first stop string.
    """

    def __init__(self, encoder: Encoder, prompt: Prompt, stops: Sequence[str] = ()) -> None:
        self._encoder = encoder
        self._prompt = prompt
        self._stops = tuple(stops)
        self._ids: list[int] = []
        self._said = 0
        self._text = ""
        self.stopped = False

    @property
    def tokens(self) -> int:
        """How many there were, an end token included."""
        return len(self._ids)

    def push(self, token: int) -> str:
        """The text that this token makes certain; sets `stopped` where a stop string ends the answer."""
        self._ids.append(token)
        self._text = self._encoder.decode(self._ids, self._prompt)
        whole = self._text.rstrip(_BROKEN)
        found = [place for stop in self._stops if (place := whole.find(stop)) >= 0]
        if found:
            self._text, self.stopped = whole[: min(found)], True
            return self.rest()
        return self._up_to(len(whole) - self._held(whole))

    def rest(self) -> str:
        """What was held back; a character that was never finished is U+FFFD."""
        return self._up_to(len(self._text))

    def _up_to(self, end: int) -> str:
        begin, self._said = self._said, max(self._said, end)
        return self._text[begin : self._said]

    def _held(self, whole: str) -> int:
        """The length of the longest end of the text that a stop string begins with."""
        lengths = [
            length
            for stop in self._stops
            for length in range(1, min(len(stop) - 1, len(whole)) + 1)
            if whole.endswith(stop[:length])
        ]
        return max(lengths, default=0)
