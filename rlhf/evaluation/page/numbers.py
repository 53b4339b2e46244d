"""Numbers as the page shows them: they come from `evaluation.json`, and nothing but their form changes."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from markupsafe import Markup

from rlhf.evaluation.page.words import say

Range = Mapping[str, float]
"""`estimate`, `low` and `high` of a 95 % interval."""

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def number(value: float | None) -> str:
    """Three significant digits, with a true minus; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or abs(value) < 1e-12:
        return "0"
    shown = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return shown.replace("-", "\u2212")


def percent(share: float | None) -> str:
    """A share as per cent with one decimal; a dash where there is none."""
    return "–" if share is None or not math.isfinite(share) else f"{share:.1%}".replace("-", "\u2212")


def signed(value: float | None) -> str:
    """A difference with its sign."""
    return f"+{number(value)}" if value is not None and value > 0 else number(value)


def chance(p_value: float) -> str:
    """A p-value as it is written; very small ones only as that."""
    return f"p = {number(p_value)}" if p_value >= 0.0001 else "p < 0.0001"


def interval(value: Range | None, style: str = "number") -> Markup:
    """The estimate, and its interval behind it with as many decimals; says so where it is not known."""
    if value is None:
        return Markup('<span class="unknown">{}</span>').format(say("not known", "未知"))
    numbers = value["estimate"], value["low"], value["high"]
    shown = list(map(percent, numbers)) if style == "percent" else _alike(numbers, style == "signed")
    return Markup('<b>{}</b> <span class="range">[{}, {}]</span>').format(*shown)


def _alike(numbers: tuple[float, float, float], with_sign: bool) -> list[str]:
    """All with the decimals that the interval's width calls for: two of its digits."""
    width = numbers[2] - numbers[1]
    if not 0 < width < math.inf:
        return [signed(one) if with_sign else number(one) for one in numbers]
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 4)
    rounded = [round(one, decimals) + 0.0 for one in numbers]
    return [
        f"{one:{'+' if with_sign and one else ''},.{decimals}f}".replace("-", "\u2212") for one in rounded
    ]


def moment(time: datetime) -> str:
    """A time to the minute, in UTC; one without a zone is taken to be in it."""
    known = time if time.tzinfo else time.replace(tzinfo=UTC)
    return f"{known.astimezone(UTC):%Y-%m-%d %H:%M}"


def written(text: str) -> str:
    """The text as it is; control characters and lone surrogates, which no page can hold, are spelled out."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
