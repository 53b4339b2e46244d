"""The evaluation as one HTML page: no network, light and dark, two languages, whole without its script."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rlhf.evaluation.page import numbers, tracks
from rlhf.evaluation.page.context import context, turns
from rlhf.evaluation.page.differences import mark
from rlhf.evaluation.page.words import both, name_of, say
from rlhf.metrics import duration

SECTIONS = (
    ("answer", "The answer", "结论"),
    ("doubts", "Doubts", "疑问"),
    ("lineage", "Lineage", "来龙去脉"),
    ("contenders", "Contenders", "其他办法"),
    ("training", "Training", "训练"),
    ("groups", "By group", "分组"),
    ("reward_model", "Reward model", "奖励模型"),
    ("samples", "Side by side", "并排对照"),
    ("inspector", "Episodes", "回合"),
    ("again", "Run it again", "再跑一次"),
)


def render_report(evaluation: Mapping[str, Any]) -> str:
    """The whole page from the parsed `evaluation.json` (version 2), and from nothing else.

    Everything that a model or a dataset wrote is escaped: what is seen is what was written. No request leaves
    the page, and its policy (CSP) lets no script run but its own, named by its hash.

    Raises KeyError or jinja2's UndefinedError where a key of version 2 is missing; what is not known is null.
    """
    environment = _environment()
    script = _source(environment, "report.js").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        e=evaluation,
        sections=SECTIONS,
        style=Markup(_source(environment, "report.css")),
        script=Markup(script),
        script_hash=digest,
        **context(evaluation),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rlhf.evaluation.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "interval": numbers.interval,
        "number": numbers.number,
        "percent": numbers.percent,
        "signed": numbers.signed,
        "written": numbers.written,
    }
    helpers: dict[str, Any] = {
        "both": both,
        "mark": mark,
        "name_of": name_of,
        "outcome_bar": tracks.outcome_bar,
        "say": say,
        "scale": tracks.scale,
        "side": tracks.side,
        "track": tracks.track,
        "turns": turns,
    }
    environment.globals.update(helpers)
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
