"""From a template to a page that stands alone: its styles and script inside, and no request leaves it."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rlhf.evaluation.page import numbers, tracks
from rlhf.evaluation.page.context import turns
from rlhf.evaluation.page.differences import mark
from rlhf.evaluation.page.words import both, name_of, say
from rlhf.metrics import duration


def page(template: str, styles: Sequence[str], **names: object) -> str:
    """A template on `shell.html.j2` as HTML, with `report.js` and the styles in it.

    Nothing is loaded from anywhere, and the page's policy (CSP) lets no script run but its own, named by its
    hash. What `names` hold is escaped.

    Raises jinja2's UndefinedError where the template wants a name that is not given.
    """
    environment = _environment()
    script = _source(environment, "report.js").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        style=Markup("\n".join(_source(environment, name) for name in styles)),
        script=Markup(script),
        script_hash=digest,
        **names,
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
        "moment": numbers.moment,
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
