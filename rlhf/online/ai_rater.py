"""A model behind an OpenAI-compatible endpoint as one more rater, named for what it is.

It is given items as people are, one at a time through the store's own functions, and asked about each in both
orders; only a preference that survives the exchange counts, anything else is a tie. What it says of one item
is kept beside the loop, so that nothing is asked twice.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from feedback_ui.database import Database
from feedback_ui.service.access import OPERATOR, Actor
from feedback_ui.service.accounts import accounts, add_rater
from feedback_ui.service.claims import next_turn
from feedback_ui.service.judgements import skip, submit
from rlhf.config import JudgeConfig
from rlhf.evaluation.endpoint import Pair, judge_pairs
from rlhf.online.pairs import prompt_of
from rlhf.online.selection import pair_key

AI = "AI "


def ai_actor(db: Database, judge: JudgeConfig) -> Actor:
    """Its account, `AI` and the model's name, made when it is first asked for."""
    name = f"{AI}{judge.model}"
    known = next((one for one in accounts(db, OPERATOR) if one.name == name), None)
    account = known or add_rater(db, OPERATOR, name)
    return Actor(account.id, account.role, account.name)


def judge_with(
    db: Database,
    campaign: str,
    judge: JudgeConfig,
    record: Path,
    *,
    stopped: Callable[[], object] = lambda: False,
) -> Iterator[int]:
    """Has it judge until it is given nothing more; yields 1 after each item.

    An item on which no reply of it can be read is skipped, and left to others.

    Raises:
        ConfigError: its rubric is not fit, or its key is not in the environment.
        InputError: the endpoint cannot be reached, refuses, or keeps failing.
    """
    actor = ai_actor(db, judge)
    while not stopped() and (task := next_turn(db, actor, campaign).task) is not None:
        prompt, (left, right) = prompt_of(task.prompt), task.answers
        (won,) = judge_pairs([Pair(prompt, left, right)], judge, record).outcomes
        key = hashlib.sha256(f"{actor.name}/{pair_key(prompt.key, left, right)}".encode()).hexdigest()
        if won is None:
            skip(db, actor, task.assignment_id, "cannot-judge", key=key)
        else:
            submit(db, actor, task.assignment_id, {"strength": round(1 - 2 * won)}, key=key)
        yield 1
