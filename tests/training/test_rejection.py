"""Best of n: the best answer of each prompt, and the tokens that SFT is shown of it."""

from rlhf.records import Prompt
from rlhf.rewards import Scored
from rlhf.training.rejection import answer_rows, best_of_each


def test_the_best_of_each_prompt_the_first_where_several_are() -> None:
    assert best_of_each([0.1, 0.9, 0.3, -2.0, -3.0, -2.0], 3) == [1, 3]
    assert best_of_each([0.5, 0.4], 1) == [0, 1]


def test_the_sampled_tokens_are_learnt_as_they_are() -> None:
    """The prompt counts for nothing, and no end is taught where there was none."""
    ended = Scored(Prompt("a"), "x", (5, 6), (7, 8, 2), "eos")
    cut = Scored(Prompt("b"), "y", (5,), (9, 9), "length")
    assert answer_rows([ended, cut]) == [
        {"input_ids": [5, 6, 7, 8, 2], "labels": [-100, -100, 7, 8, 2]},
        {"input_ids": [5, 9, 9], "labels": [-100, 9, 9]},
    ]
