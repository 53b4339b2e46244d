"""Keys and values of the sequences that are decoded together, in rows that are filled anew when one is done.

A sequence stands at the left of its row, so that a token's place is its position and a new sequence fits into
any row. Memory is taken once: nothing grows, and no step copies what was there before.
"""

from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache, CacheLayerMixin

from rlhf.errors import ModelError

LEFTMOST = ("full_attention", "sliding_attention")  # kinds of layers whose past is keys and values alone


class Window:
    """Which part of the rows the model reads and writes now; the layers share it.

    Either `fill_rows` [M] are given a sequence each from their beginning; or the first B rows are given one
    token each, at its `positions_B`, and attend to what lies in their first `width` places.
    """

    def __init__(self) -> None:
        self.fill_rows: Tensor | None = None
        self.rows_B: Tensor = torch.zeros(0, dtype=torch.long)
        self.positions_B: Tensor = self.rows_B
        self.width = 0

    def step(self, positions_B: Tensor, width: int) -> None:
        """The next tokens are the first B rows', one each."""
        self.rows_B = torch.arange(len(positions_B), device=positions_B.device)
        self.positions_B, self.width = positions_B, width


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, [rows, heads, capacity, head size] each."""

    is_compileable = True
    is_sliding = False

    def __init__(self, window: Window, rows: int, capacity: int) -> None:
        super().__init__()
        self._window = window
        self._rows = rows
        self._capacity = capacity

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Takes the memory; zeros, because what is masked is multiplied by 0 and must be a number."""

        def room(x: Tensor) -> Tensor:
            shape = (self._rows, x.shape[1], self._capacity, x.shape[3])
            return torch.zeros(shape, dtype=x.dtype, device=x.device)

        self.keys, self.values = room(key_states), room(value_states)
        if key_states.is_cuda:  # or a captured graph would be refused, because it writes to them
            torch._dynamo.mark_static_address(self.keys)  # pyright: ignore[reportPrivateUsage]
            torch._dynamo.mark_static_address(self.values)  # pyright: ignore[reportPrivateUsage]
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Writes [B, heads, T, head size] of each and returns what is to be attended to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        window, count = self._window, key_states.shape[0]
        if window.fill_rows is not None:
            self.keys[window.fill_rows, :, : key_states.shape[2]] = key_states.to(self.keys.dtype)
            self.values[window.fill_rows, :, : value_states.shape[2]] = value_states.to(self.values.dtype)
            return key_states, value_states
        for kept, new in ((self.keys, key_states), (self.values, value_states)):
            kept[window.rows_B, :, window.positions_B] = new[:, :, 0].to(kept.dtype)
        return self.keys[:count, :, : window.width], self.values[:count, :, : window.width]

    def move(self, rows_M: Tensor, width: int) -> None:
        """Makes these rows the first ones, in order, of what their first `width` places hold."""
        if self.is_initialized:
            assert self.keys is not None
            assert self.values is not None
            for kept in (self.keys, self.values):
                kept[: len(rows_M), :, :width] = kept[rows_M, :, :width]

    def get_seq_length(self) -> int:
        """0: positions and masks are handed to the model, and a sequence that is filled in starts at 0."""
        return 0

    def get_max_length(self) -> int:
        """Places in a row."""
        return self._capacity

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Of a sequence that is filled in: it attends to itself alone."""
        return query_length, 0


class SlotCache(Cache):
    """The layers of a model; each is made when the model first comes to it."""

    def __init__(self, rows: int, capacity: int) -> None:
        self.rows, self.capacity, self.window = rows, capacity, Window()
        # nothing that refers back to the cache: it would lie about until Python looks for cycles
        layer = partial(SlotLayer, self.window, rows, capacity)
        super().__init__(layer_class_to_replicate=layer)  # pyright: ignore[reportArgumentType]

    def move(self, rows_M: Tensor, width: int) -> None:
        """Makes these rows the first ones, in every layer."""
        for layer in self.layers:
            assert isinstance(layer, SlotLayer)
            layer.move(rows_M, width)


class StepMask:
    """Which places the next token of each row attends to, as the model's kinds of layers want it."""

    def __init__(self, config: PreTrainedConfig) -> None:
        """Reads kinds of layers and implementation of attention.

        Raises:
            ModelError: a kind of layer whose past is something else than keys and values.
        """
        text = config.get_text_config(decoder=True)
        self._sliding: int | None = getattr(text, "sliding_window", None)
        usual = "sliding_attention" if self._sliding else "full_attention"
        self._kinds = sorted(set(getattr(text, "layer_types", None) or [usual]))
        if unknown := [kind for kind in self._kinds if kind not in LEFTMOST]:
            raise ModelError(
                f"{type(config).__name__}: rollout=hf cannot decode layers of the kind {unknown[0]}; "
                "use rollout=vllm, or a model whose layers attend to keys and values alone"
            )
        self._additive = getattr(config, "_attn_implementation", None) == "eager"

    def __call__(self, positions_B: Tensor, width: int, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
        """[B, 1, 1, width]: one mask, or one for each kind of layer where there are several."""
        masks = {kind: self._of(kind, positions_B, width, dtype) for kind in self._kinds}
        return masks if len(masks) > 1 else masks[self._kinds[0]]

    def _of(self, kind: str, positions_B: Tensor, width: int, dtype: torch.dtype) -> Tensor:
        place_W = torch.arange(width, device=positions_B.device)
        last_B1 = positions_B.unsqueeze(1)
        seen_BW = place_W <= last_B1
        if kind == "sliding_attention" and self._sliding:
            seen_BW = seen_BW & (place_W > last_B1 - self._sliding)
        seen_B11W = seen_BW[:, None, None, :]
        if not self._additive:
            return seen_B11W
        return torch.zeros(seen_B11W.shape, dtype=dtype, device=seen_B11W.device).masked_fill(
            ~seen_B11W, torch.finfo(dtype).min
        )
