"""The loop's page: whole at any point of a loop's life, offline, in two languages, true to the record."""

import html as html_module
import json
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_report import NASTY, Page

from rlhf.config.guards import GuardLimits
from rlhf.evaluation.loop_report import render_loop
from rlhf.evaluation.page.loop_words import DOING, ENDED, GUARDS
from rlhf.evaluation.page.numbers import moment
from rlhf.online.ending import ended
from rlhf.runs.loop_record import EndingRules, LoopRecord, Waiting
from scripts.looking.loop_records import empty, loop, records, stream

STATUSES = ["sampling", "selecting", "waiting", "learning", "improving", "judging", "done"]
TIME = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d)?")


def page_of(record: LoopRecord) -> Page:
    return Page(render_loop(LoopRecord.model_validate_json(record.model_dump_json())))


def in_english(record: LoopRecord) -> str:
    """The words, in one line."""
    html = re.sub(r'<span class="zh".*?</span>', "", render_loop(record), flags=re.S)
    return re.sub(r"\s+", " ", Page(html.replace("</dt>", " </dt>")).words)


def changed(record: LoopRecord, path: str, value: object) -> LoopRecord:
    """The record in which one value, named by keys and places, is another."""
    plain: Any = record.model_dump(mode="json")
    *way, last = [int(key) if key.lstrip("-").isdigit() else key for key in path.split("/")]
    at = plain
    for key in way:
        at = at[key if isinstance(at, list) else str(key)]
    assert at[last] != value
    at[last] = value
    return LoopRecord.model_validate_json(json.dumps(plain))


@pytest.mark.parametrize("status", STATUSES)
def test_a_stream_shows_its_steps(status: Any) -> None:
    record = stream(2, status)
    words = in_english(record)
    assert "A stream: the reward model and the policy go on learning in small steps" in words
    assert page_of(record).words.count("rows learnt, new + older") == 2
    for step in record.steps:
        assert f"{step.policy.label} " in words
    left = record.steps[-1]
    said = f"waits for {left.needed}"
    assert (said in words) == (left.snapshot_sha256 is None)
    assert record.newest is not None
    assert ("newest, not promoted" in words) == (record.newest.label != record.incumbent.label)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("rounds", [1, 2, 10])
def test_is_whole_at_any_point_of_a_loop_s_life(rounds: int, status: Any) -> None:
    for simulated in (True, False):
        record = loop(rounds, status, simulated=simulated)
        page = page_of(record)
        assert page.tags.count("h1") == 1
        assert page.words.count(f"Round {rounds}") >= 1
        for name in ("results", "rounds", "reward_model", "policies", "samples", "log", "again"):
            assert ("id", name) in page.attributes
        if status != "done":
            doing = DOING[status].en.format(incumbent=record.rounds[-1].incumbent)
            assert doing in page.words or status == "waiting"
        assert ("gold" in page.words) == simulated


def test_a_loop_before_its_first_round() -> None:
    words = page_of(empty()).words
    for said in ("No round has begun. The policy is sft.", "尚未开始任何一轮", "There are no results yet."):
        assert said in words
    assert "python -m rlhf.run stage=loop name=demo" in words
    assert "rollback" not in words


def test_says_what_it_waits_for() -> None:
    """588 of 1,000 are there at 31.4 an hour."""
    words = page_of(loop(3, "waiting")).words
    for said in ("Round 3 waits for 412 more judgements.", "第 3 轮还在等待 412 个判断。", "588 of 1,000",
                 "31.4 an hour", "expected to be there at 2026-11-06 07:37 UTC"):  # fmt: skip
        assert said in words
    one = loop(1, "waiting")
    last = one.rounds[0].model_copy(update={"waiting": Waiting(judgements=4, needed=5)})
    words = page_of(one.with_round(last)).words
    assert "Round 1 waits for 1 more judgement." in words
    assert "an hour" not in words


def test_the_steps_of_a_round_stand_before_and_behind_where_it_is() -> None:
    page = page_of(loop(2, "learning"))
    kinds = [
        value for name, value in page.attributes if name == "class" and value in ("past", "now", "ahead")
    ]
    assert kinds == 2 * ["past", "past", "past", "now", "ahead", "ahead"]  # at the top and in its round
    done = page_of(loop(2)).attributes
    assert ("aria-current", "step") not in done


@pytest.mark.parametrize(
    ("reason", "rules"),
    [
        ("target", EndingRules(target_win_rate=0.55)),  # nothing else would be sure to end it
        ("target", EndingRules(target_win_rate=0.55, rounds=5, patience=9, max_judgements=8000)),
        ("budget", EndingRules(max_judgements=8000)),
        ("budget", EndingRules(target_win_rate=0.999, max_judgements=7000, patience=0, rounds=5)),
        ("patience", EndingRules(patience=0, rounds=9)),
        ("patience", EndingRules(patience=0, rounds=5, max_judgements=9000)),
        ("rounds", EndingRules(rounds=5)),
        ("rounds", EndingRules(rounds=3, patience=1)),
    ],
)
def test_an_end_says_why_and_a_command_that_takes_it_further(reason: Any, rules: EndingRules) -> None:
    record = loop(5, ended=reason).model_copy(update={"rules": rules})
    assert ended(record, rules) == reason
    words = page_of(record).words
    assert f"The loop has ended after 5 rounds: {ENDED[reason].en}. Its policy is round-5." in words
    assert f"循环已在 5 轮后结束：{ENDED[reason].zh}。所得策略是 round-5。" in words
    said = next(line for line in words.splitlines() if "stage=loop name=demo stage." in line)
    overrides = [word.removeprefix("stage.").partition("=") for word in shlex.split(said)[5:]]
    wider = rules.model_copy(update={key: json.loads(value) for key, _, value in overrides})
    assert ended(record, wider) is None
    assert wider.rounds or wider.max_judgements  # else stage=loop would not begin


@pytest.mark.parametrize("reason", list(ENDED))
def test_an_end_of_which_the_rules_are_not_known_still_says_how_to_go_on(reason: Any) -> None:
    words = page_of(loop(5, ended=reason).model_copy(update={"rules": None})).words
    assert re.search(r"name=demo stage\.\w+=", words)


def test_a_real_command_is_the_one_that_goes_on() -> None:
    command = "python -m rlhf.run stage=loop name=x 'runs_dir=/my data' stage.rounds=5 stage.budget=7"
    words = page_of(changed(loop(5, ended="rounds"), "command", command)).words
    assert "python -m rlhf.run stage=loop name=x 'runs_dir=/my data' stage.budget=7 stage.rounds=8" in words
    assert f"{command} stage.rollback=round-3" in words
    assert "stage.rounds=5 stage.strategy=random stage.budget=1000" in words
    assert f"\n{command}\n" in words


def test_who_decided_is_named_and_not_repeated() -> None:
    by_people = [one.model_copy(update={"judged_by": "people"}) for one in loop(2, simulated=False).rounds]
    page = in_english(loop(2).model_copy(update={"rounds": by_people}))
    assert page.count("win rate by people") == 1
    assert "win rate by judge" not in page
    assert page.count("win rate, people") == 1
    by_gold = [one.model_copy(update={"judged_by": "gold"}) for one in loop(2).rounds]
    page = in_english(loop(2).model_copy(update={"rounds": by_gold}))
    assert (page.count("win rate by gold"), page.count("win rate by judge")) == (1, 0)
    mixed = [loop(2).rounds[0], by_gold[1]]
    page = in_english(loop(2).model_copy(update={"rounds": mixed}))
    assert (page.count("win rate by judge"), page.count("win rate by gold")) == (1, 1)


def test_waiting_for_people_who_judge_the_candidate_is_told_too() -> None:
    record = loop(2, "judging", simulated=False)
    asked = record.rounds[-1].model_copy(update={"waiting": Waiting(judgements=30, needed=120)})
    words = in_english(record.with_round(asked))
    assert "30 of 120 judgements" in words
    assert "the candidate is judged against round-1" in words
    there = asked.model_copy(update={"waiting": Waiting(judgements=120, needed=120)})
    assert "120 judgements" not in in_english(record.with_round(there))


def test_a_loop_that_goes_on_says_no_end() -> None:
    words = page_of(loop(3)).words
    assert "Round 3: done; the next round has not begun." in words
    assert "It can go on" not in words


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("experiment", "other-1", "other-1 · online loop"),
        ("incumbent/label", "round-77", "round-77"),
        ("rounds/0/win_rate", 0.87654, "87.7% [64"),
        ("rounds/0/win_low", 0.1234, "[12.3%, "),
        ("rounds/1/gold_win_high", 0.9931, ", 99.3%]"),
        ("rounds/1/gold_score", 0.5151, "0.515"),
        ("rounds/4/gold_score_low", 0.4444, "[0.444, "),
        ("rounds/1/gold_score_incumbent", 0.3131, "0.313"),
        ("rounds/2/kl_nats", 13.37, "13.4"),
        ("rounds/2/agreement", 0.2718, "0.272"),
        ("rounds/2/judgements", 987, "987 / 1,000"),
        ("rounds/3/judgements", 986, "given 986 of 1,000"),
        ("rounds/2/budget", 1234, " / 1,234"),
        ("rounds/1/strategy", "information", "strategy information"),
        ("rounds/1/raters_per_item", 7, "raters a pair 7"),
        ("rounds/1/evaluation_items", 41, "of which 41 drawn"),
        ("rounds/1/items", 343, "343, of which"),
        ("rounds/1/campaign", "weekly", "campaign weekly"),
        ("rounds/1/guidelines_version", 9, "version 9"),
        ("rounds/3/why", "So it is.", "So it is."),
        ("rounds/3/guards/unfinished/value", 0.0471, "4.7% at most"),
        ("rounds/3/guards/kl_nats/limit", 18.0, "at most 18"),
        ("rounds/3/guards/refusals/ok", False, "broken"),
        ("rounds/4/rm_accuracy/2/low", 0.3217, "[32.2%, "),
        ("rounds/4/rm_accuracy/1/correct", 99.5, "74.8%"),  # of 133
        ("rounds/4/runs/ppo", "runs/demo/ppo-99", "PPO runs/demo/ppo-99"),
        ("rounds/4/seconds/improving", 4000.0, "improve 1h 6m"),
        ("rounds/4/snapshot_sha256", "fedcba9876543210ff", "fedcba9876543210"),
        ("rounds/0/promoted", False, "not promoted"),
        ("strengths/round-2/0", 0.8765, "+0.88 [+0.68"),
        ("policies/1/run", "hub-of/it", "hub-of/it"),
        ("policies/1/fingerprint", "0123456789abcdef", "0123456789ab"),
        ("rules/patience", 17, "0 / 17"),
        ("rules/target_win_rate", 0.8123, "81.2%"),
        ("samples/7/gold/sft", 0.123, "gold 0.123"),
        ("samples/7/answers/sft", "Melbourne.", "Melbourne."),
        ("log/1/what", "threw a coin", "threw a coin"),
        ("log/1/who", "李雷", "李雷"),
        ("log/1/time", "2031-01-02T03:04:00Z", "2031-01-02 03:04"),
    ],
)  # fmt: skip
def test_what_stands_in_the_record_stands_on_the_page(path: str, value: object, shown: str) -> None:
    usual = loop(5, ended="rounds")
    before, after = (in_english(one) for one in (usual, changed(usual, path, value)))
    assert after.count(shown) > before.count(shown)


def test_the_reason_is_told_in_chinese_too() -> None:
    record = changed(changed(loop(3), "rounds/2/why", "So it is."), "rounds/2/why_zh", "就是这样。")
    assert ("zh", "就是这样。") in page_of(record).spoken
    assert ("zh", "就是这样。") not in page_of(changed(record, "rounds/2/why_zh", "")).spoken


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        yield float(value)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from numbers_in(one)
            if str(key).isdigit():
                yield float(key)
    elif isinstance(value, list):
        for one in value:
            yield from numbers_in(one)


def is_written(said: str, known: list[float]) -> bool:
    """Whether a number is one that is known, to the digits in which it is said."""
    share = said.endswith("%")
    plain = said.rstrip("%").replace(",", "").replace("−", "-")
    decimals = len(plain.partition(".")[2])
    value, unit = float(plain) / (100 if share else 1), 10.0**-decimals / (100 if share else 1)
    return any(abs(value - one) <= 0.5001 * unit or (not share and abs(value - one) <= 0.0051 * abs(one))
               for one in known)  # fmt: skip


@pytest.mark.parametrize("name", [*records()])
def test_every_number_on_the_page_is_in_the_record(name: str) -> None:
    """But for ticks of axes, commands, the words' own (95 %, 73 %), and counts of what is in it."""
    record = records()[name]()
    plain = record.model_dump(mode="json")
    page = render_loop(record)
    for part in ("svg", "style", "script", "pre", "title", "article", "h4"):
        page = re.sub(rf"<{part}[ >].*?</{part}>", " ", page, flags=re.S)
    page = re.sub(r'<p class="why">.*?</p>', " ", page, flags=re.S)
    words = html_module.unescape(re.sub("<[^>]*>", " ", page))
    times = {moment(one) for one in times_of(record)}
    assert all(said in times or any(one.startswith(said) for one in times) for said in TIME.findall(words))
    words = TIME.sub(" ", words)
    for text in (record.experiment, *strings_of(plain), "95 %", "95%", "73 %", "73%"):
        words = words.replace(text, " ")
    words = re.sub(r"\b[0-9a-f]{12,16}\b|\b\d+[dhms]( \d+[hms])?\b|round-\d+", " ", words)
    done = [one for one in record.rounds if one.status == "done"]
    waits = [one.waiting for one in record.rounds if one.waiting]
    known = [
        *numbers_in(plain),
        *(found.accuracy for one in record.rounds for found in one.rm_accuracy.values()),
        *(one.needed - one.judgements for one in waits),
        *(step.rm_accuracy.accuracy for step in record.steps if step.rm_accuracy),
        record.judgements,
        *range(len(record.rounds) + 1),
        len(done),
        len(record.samples) - 6,
    ]
    said = re.findall(r"−?\d[\d,]*(?:\.\d+)?%?", words)
    assert len(said) > 20 or name == "empty"
    assert [one for one in said if not is_written(one, known)] == []


def times_of(record: LoopRecord) -> list[datetime]:
    found = [one.time for one in record.log]
    for one in record.rounds:
        waits = [one.waiting.seen, one.waiting.expected_end] if one.waiting else []
        began = [step.started for step in one.steps]
        found += [time for time in (one.started, one.ended, *waits, *began) if time]
    return found


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.fullmatch(r"[\d.]*", value):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from strings_of(one)
            if not str(key).isdigit():
                yield str(key)
    elif isinstance(value, list):
        for one in value:
            yield from strings_of(one)


def test_every_text_stands_as_it_was_written() -> None:
    plain = loop(2).model_dump(mode="json")
    plain["samples"] = [{"prompt": text, "answers": {"sft": text[::-1]}, "gold": None} for text in NASTY]
    page = page_of(LoopRecord.model_validate_json(json.dumps(plain)))
    assert page.texts == [shown for text in NASTY for shown in (text, text[::-1])]
    assert {"img", "iframe", "link", "object", "form", "think"}.isdisjoint(page.tags)


def test_everything_that_anybody_wrote_is_inert() -> None:
    bad = "<script>x</script>\"'><img src=x onerror=alert(1)>{{7*7}}"

    def spoilt(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            keep = key in ("rm_accuracy", "")
            return {
                (name if keep or name in known else bad + name): spoilt(one, name)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [spoilt(one, key + "s") for one in value]
        fixed = ("status", "mode", "ended", "time", "started", "seen", "expected_end")
        return bad if isinstance(value, str) and key not in fixed else value

    known = {name for model in (LoopRecord, Waiting, EndingRules) for name in model.model_fields}
    for name, field in LoopRecord.model_fields.items():
        known |= {name, *getattr(field.annotation, "model_fields", {})}
    for one in ("rounds", "samples", "log", "policies"):
        kind = LoopRecord.model_fields[one].annotation.__args__[0]  # type: ignore[union-attr]
        known |= set(kind.model_fields)
    known |= {"label", "run", "fingerprint", "value", "limit", "ok", "count", "correct", "low", "high"}
    for record in (loop(4, "waiting"), loop(5, ended="patience"), loop(3, "judging", simulated=False)):
        plain = spoilt(json.loads(record.model_dump_json()))
        page = page_of(LoopRecord.model_validate_json(json.dumps(plain)))
        assert page.tags.count("script") == 1
        assert "img" not in page.tags
        assert not [one for one, _ in page.attributes if one.startswith("on")]
        assert page.words.count(bad) > 50
        assert "49}}" not in page.words


def test_no_request_leaves_the_page() -> None:
    for record in (empty(), loop(10, ended="patience"), loop(3, "waiting", simulated=False)):
        html = render_loop(record)
        page = Page(html)
        asking = {
            "src",
            "srcset",
            "action",
            "data",
            "poster",
            "background",
            "xlink:href",
            "ping",
            "formaction",
        }
        assert asking.isdisjoint(name for name, _ in page.attributes)
        assert all((value or "").startswith("#") for name, value in page.attributes if name == "href")
        assert not re.findall(r"https?:|//[a-z]+\.|@import|url\((?!#)", html)
        assert re.search(
            r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[\w+/=]{44}'", html
        )
        assert {"link", "iframe", "img", "form"}.isdisjoint(page.tags)


def test_what_no_page_can_hold_is_spelled_out() -> None:
    record = changed(loop(2), "log/0/what", "a\x00b")
    broken = record.rounds[0].model_copy(update={"why": "c\ud800d"})
    html = render_loop(record.with_round(broken))
    assert "a\\u0000b" in html
    assert "c\\ud800d" in html
    html.encode("utf-8")


def test_both_languages_say_everything() -> None:
    for make in records().values():
        spoken = page_of(make()).spoken
        languages = [language for language, _ in spoken]
        assert languages.count("en") == languages.count("zh")
        assert not [said for language, said in spoken if language == "en" and re.search("[一-鿿]", said)]
        assert not [said for language, said in spoken if not said.strip()]


def test_every_guard_that_can_be_set_has_a_name() -> None:
    assert set(GUARDS) == set(GuardLimits.model_fields) - {"refusal_phrases"}


def test_the_time_is_that_of_the_latest_that_is_told() -> None:
    record = loop(2)
    latest = record.rounds[-1].ended
    assert latest is not None
    assert f"as of {moment(latest)} UTC" in page_of(record).words
    later = (latest + timedelta(days=2)).astimezone(UTC)
    words = page_of(changed(record, "log/0/time", later.isoformat())).words
    assert f"as of {moment(later)} UTC" in words


def test_a_long_loop_stays_small() -> None:
    assert len(render_loop(loop(50)).encode()) < 2_000_000
