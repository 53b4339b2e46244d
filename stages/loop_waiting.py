"""Judgements on a campaign's pairs: simulated raters give theirs, people are waited for."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from rlhf.errors import ConfigError
from rlhf.metrics import Progress
from rlhf.online.ai_rater import judge_with
from rlhf.online.campaigns import waiting, waiting_after
from rlhf.online.pairs import Pair
from rlhf.online.raters import judge, simulated_raters
from rlhf.runs.loop_record import RoundRecord, Waiting
from stages.loop_command import command_of
from stages.loop_scores import is_embedded, worth_of
from stages.loop_setup import Loop, now

POLL_S = 3.0
SAVE_S = 15.0
Raters = Literal["simulated", "people", "both"]


@dataclass(frozen=True)
class Asked:
    """What is waited for: all that a campaign asks, or so many judgements after one, by its number.

    `pairs` are those that simulated raters may be given.
    """

    campaign: str
    pairs: Sequence[Pair]
    after: int | None = None
    needed: int = 0


def judged(loop: Loop, round_: RoundRecord, asked: Asked) -> RoundRecord | None:
    """The round with what is there once the judgements are, or the time is over.

    None where they are not and `stage.wait=false`: it is said what is missing, and what goes on.

    Raises:
        KeyboardInterrupt: a stop was asked for.
    """
    since = round_.waiting.since if round_.waiting and round_.waiting.since else now()
    with loop.stop.listening():
        have_programs_judge(loop, asked)
        found = _look(loop, asked, since)
        round_ = loop.save_round(round_, waiting=found)
        if found.judgements >= found.needed or _is_over(loop, found):
            return round_
        if not loop.stage.wait:
            _say_what_is_missing(loop, asked.campaign, found)
            return None
        return _wait(loop, round_, asked)


def raters_of(loop: Loop, pairs: Sequence[Pair]) -> Raters:
    """Who judges: what is configured, or by itself simulated raters where they know the prompts.

    Raises:
        ConfigError: there are fewer simulated raters than a pair takes.
    """
    stage = loop.stage
    if stage.raters != "auto":
        return stage.raters
    if stage.simulated.reward_model is None and not is_embedded(pairs):
        return "people"
    if stage.simulated.count < stage.raters_per_item:
        raise ConfigError(
            f"stage.raters_per_item={stage.raters_per_item} asks for more than the "
            f"stage.simulated.count={stage.simulated.count} simulated raters; raise that, or take "
            "stage.raters=both"
        )
    return "simulated"


def have_programs_judge(loop: Loop, asked: Asked) -> None:
    """The raters that are no people judge what they are given: the simulated ones as much as is waited for.

    Raises:
        KeyboardInterrupt: a stop was asked for; what was judged is kept.
    """
    if raters_of(loop, asked.pairs) != "people":
        simulate(loop, asked)
    ai_rater = loop.stage.ai_rater
    if ai_rater.url is not None:
        record = loop.run.path / "ai_verdicts.jsonl"
        for _ in judge_with(loop.db, asked.campaign, ai_rater, record, stopped=lambda: loop.stop.reason):
            pass
    _stop_if_asked(loop)


def simulate(loop: Loop, asked: Asked) -> None:
    """Has the simulated raters judge until enough is there, a stop is asked for, or nothing is left."""
    told = loop.stage.simulated
    raters = simulated_raters(
        loop.db, count=told.count, seed=loop.cfg.seed, skill=told.skill, length_bias=told.length_bias
    )
    found = _look(loop, asked, None)
    if found.judgements < found.needed:
        worth = worth_of(loop, asked.pairs)
        with Progress("simulated raters", found.needed, start=found.judgements) as progress:
            count = found.judgements

            def stopped() -> bool:
                return loop.stop.reason is not None or count >= found.needed

            for one in judge(loop.db, asked.campaign, raters, worth, stopped=stopped):
                count += one
                progress.update(count)


def _wait(loop: Loop, round_: RoundRecord, asked: Asked) -> RoundRecord:
    found = round_.waiting
    assert found is not None
    assert found.since is not None
    since, saved = found.since, time.monotonic()
    loop.say(f"waits for judgements; the page: {page_command(loop)}")
    with Progress(f"judgements of {asked.campaign}", found.needed, start=found.judgements) as progress:
        while found.judgements < found.needed and not _is_over(loop, found):
            _stop_if_asked(loop)
            time.sleep(POLL_S)
            have_programs_judge(loop, asked)
            found = _look(loop, asked, since)
            progress.update(found.judgements, _figures(found))
            if time.monotonic() - saved >= SAVE_S:
                round_, saved = loop.save_round(round_, waiting=found), time.monotonic()
    return loop.save_round(round_, waiting=found)


def page_command(loop: Loop) -> str:
    """What serves the page where people judge."""
    return f"python -m feedback_ui serve --db {loop.place}"


def _look(loop: Loop, asked: Asked, since: object) -> Waiting:
    found = waiting(loop.db, asked.campaign)
    if asked.after is not None:
        found = waiting_after(loop.db, found, asked.campaign, asked.after, asked.needed)
    return found.model_copy(update={"since": since})


def _is_over(loop: Loop, found: Waiting) -> bool:
    """Whether the time is up, and there is something to go on with."""
    hours = loop.stage.max_wait_hours
    if hours is None or not found.judgements or found.since is None:
        return False
    return now() - found.since >= timedelta(hours=hours)


def _stop_if_asked(loop: Loop) -> None:
    if loop.stop.reason:
        raise KeyboardInterrupt(loop.stop.reason)


def _figures(found: Waiting) -> dict[str, float]:
    return {} if found.per_hour is None else {"an_hour": found.per_hour}


def _say_what_is_missing(loop: Loop, campaign: str, found: Waiting) -> None:
    missing = found.needed - found.judgements
    loop.say(f"{missing} of {found.needed} judgements are missing in the campaign {campaign!r}")
    if found.expected_end is not None:
        until = found.expected_end.astimezone().strftime("%Y-%m-%d %H:%M")
        loop.say(f"{found.per_hour:.0f} come in an hour; all may be there at {until}")
    loop.say(f"people give them in the page: {page_command(loop)}")
    loop.say(f"then go on: {command_of(loop.cfg)}")
