"""What a manager should look at, in sentences. An alarm is a reason to look, not a verdict."""

from feedback_ui.service.figures import Figures
from feedback_ui.service.quality import Quality
from feedback_ui.views.board_html import notice, percent, section
from feedback_ui.views.board_words import Words
from rlhf.crowd import RaterFigures

HARDLY_ABOVE_CHANCE = 0.6
"""A rater whose skill's interval ends below this is hardly better than a coin."""
SHOWN = 12


def alerts(words: Words, found: Figures) -> str:
    """A panel with the sentences, alarms first; HTML."""
    alarms = _alarms(words, found.quality) if found.quality else []
    mild = _mild(words, found)
    made = [notice(said, "alarm") for said in alarms[:SHOWN]]
    if len(alarms) > SHOWN:
        made.append(notice(words("alert.more", count=len(alarms) - SHOWN), "alarm"))
    made += [notice(said, "mild") for said in mild]
    if not made:
        made = [notice(words("alert.none" if found.quality else "alert.nothing_yet"), "good")]
    return section(words("alert.title"), "".join(made))


def _alarms(words: Words, quality: Quality) -> list[str]:
    found: list[str] = []
    if quality.side_alarm:
        found.append(words("alert.side", share=percent(quality.left), count=f"{quality.num_sided:,}"))
    for name, figures in quality.raters.items():
        found += [_of_rater(words, name, figures, alarm.kind) for alarm in figures.alarms]
        skill = (quality.skills or {}).get(name)
        if skill is not None and skill.high < HARDLY_ABOVE_CHANCE:
            found.append(words("alert.skill", rater=name, skill=percent(skill)))
    found += [
        words("alert.gold_key", prompt=_short(item.prompt), passed=item.passed, count=item.num)
        for item in quality.gold.missed
    ]
    return found


def _of_rater(words: Words, name: str, figures: RaterFigures, kind: str) -> str:
    shown = {
        "side": percent(figures.left),
        "gold": percent(figures.gold),
        "speed": words.seconds(figures.median_seconds or 0.0),
        "constant": "",
    }[kind]
    return words(f"alert.rater_{kind}", rater=name, figure=shown)


def _mild(words: Words, found: Figures) -> list[str]:
    said: list[str] = []
    if found.disputes:
        said.append(words("alert.disputes", count=f"{len(found.disputes):,}"))
    quality = found.quality
    if quality is None:
        return said
    if quality.length_alarm:
        said.append(words("alert.length", share=percent(quality.longer), count=f"{quality.num_lengths:,}"))
    if quality.models is not None and not quality.models.connected:
        said.append(words("alert.unconnected"))
    return said


def _short(prompt: object) -> str:
    said = (
        prompt if isinstance(prompt, str) else str(prompt[-1]["content"]) if isinstance(prompt, list) else ""
    )
    said = " ".join(said.split())
    return said if len(said) <= 60 else f"{said[:59]}…"
