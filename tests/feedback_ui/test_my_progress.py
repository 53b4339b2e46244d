"""What a rater sees of their progress: the sum stays, whichever items had a known answer."""

import random

from people import campaign, pairs, prefer_good, rater

from feedback_ui.database import Database
from feedback_ui.service.claims import next_task
from feedback_ui.service.judgements import skip, submit
from feedback_ui.service.progress import MyProgress, my_progress


def with_gold(items: int, gold: int) -> list:
    known = [(place, {**row, "gold": {"better": 0}}) for place, row in pairs(gold, start=1000)]
    return [*pairs(items), *known]


def walk(db: Database, actor, name: str, seed: int) -> tuple[list[MyProgress], list[bool]]:
    """Progress with each item in hand and after the last, and which of the items had a known answer."""
    rng = random.Random(seed)
    seen: list[MyProgress] = []
    gold: list[bool] = []
    while (task := next_task(db, actor, name, rng=rng)) is not None:
        seen.append(my_progress(db, actor, name))
        gold.append(int(task.prompt.split()[1].rstrip("?")) >= 1000)
        if len(seen) % 7 == 3:
            skip(db, actor, task.assignment_id, "unclear", key=str(len(seen)))
        else:
            submit(db, actor, task.assignment_id, prefer_good(task.answers), key=str(len(seen)))
    seen.append(my_progress(db, actor, name))
    return seen, gold


def test_the_sum_does_not_tell_which_items_have_a_known_answer(db: Database) -> None:
    name = campaign(db, rows=with_gold(30, 40), raters_per_item=2, gold_share=0.4)
    for seed in (0, 1):
        seen, gold = walk(db, rater(db, f"r{seed}"), name, seed)
        assert 10 <= sum(gold) <= 30  # of 30 others, 20 are planned
        sums = [one.judged + one.skipped + one.waiting for one in seen]
        assert sums[:35] == [50] * 35  # 30 / (1 - 0.4), whatever was given
        assert [one.judged + one.skipped for one in seen] == list(range(len(seen)))
        assert all(one.waiting > 0 for one in seen[:-1])
        assert seen[-1].waiting == 0


def test_without_known_answers_it_is_what_waits(db: Database) -> None:
    name = campaign(db, 10, raters_per_item=1)
    a, b = rater(db, "a"), rater(db, "b")
    task = next_task(db, b, name)
    submit(db, b, task.assignment_id, prefer_good(task.answers), key="k")
    seen, _ = walk(db, a, name, 0)
    assert [one.waiting for one in seen] == list(range(9, -1, -1))
    assert my_progress(db, b, name).waiting == 1  # what a has skipped


def test_in_a_test_what_comes_after_it_waits(db: Database) -> None:
    name = campaign(db, rows=with_gold(4, 3), qualify_items=3, pass_mark=0.5)
    a = rater(db, "a")
    seen, gold = walk(db, a, name, 0)
    assert gold == [True] * 3 + [False] * 4
    assert [one.waiting for one in seen] == [4, 4, 4, 4, 3, 2, 1, 0]
