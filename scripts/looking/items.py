"""Items to look at: prose, lists, code, formulas, a table, and text that runs from right to left."""

from typing import Any

_SCALES = [{"name": "helpful"}, {"name": "honest"}, {"name": "harmless"}]
# By the names of the views; `past` and `finished` are comparisons.
FORMS: dict[str, dict[str, Any]] = {
    "compare": {
        "kind": "compare",
        "flags": ["unsafe", "false", "off-topic", "personal-data", "other"],
        "edit": True,
    },
    "rank": {"kind": "rank"},
    "rate": {"kind": "rate", "scales": _SCALES, "flags": ["false", "other"]},
    "score": {"kind": "score", "scales": [{"name": "quality", "low": 1, "high": 10}], "flags": ["unsafe"]},
    "thumb": {"kind": "thumb", "flags": ["unsafe", "false"], "edit": True},
    "write": {"kind": "write", "reason": "off"},
    "chat": {"kind": "chat"},
    "past": {"kind": "compare"},
    "finished": {"kind": "thumb"},
}
_COUNTS = {"compare": 2, "rank": 4, "rate": 2, "score": 1, "thumb": 1, "write": 0, "past": 2}

GUIDELINES = {
    "en": "Prefer the answer that **helps the person more**.\n\n1. It is true.\n2. It answers what was asked.\n"
    "3. It is as short as it can be.\n\nWhere both do so equally well, say that they are equal.",
    "zh": "请选择**对提问者更有帮助**的回答。\n\n1. 内容真实。\n2. 回答了所问的问题。\n3. 尽量简短。\n\n两者同样好时，请选择“相当”。",
}

_PROMPTS = {
    "en": "Why is the sky blue, and why is it red in the evening?",
    "zh": "天空为什么是蓝色的？傍晚为什么又是红色的？",
}
_ANSWERS = {
    "en": [
        "Sunlight holds all colours. Molecules of the air scatter **blue light** far more than red: scattering grows "
        "as $\\lambda^{-4}$, so blue ($450$ nm) is scattered about\n\n"
        "$$\\left(\\frac{700}{450}\\right)^4 \\approx 5.9$$\n\ntimes as much as red.\n\n"
        "- At noon the light takes a *short* way, and the scattered blue reaches you from everywhere.\n"
        "- In the evening the way is long: the blue is gone before it arrives, and red is left.",
        "The sky reflects the sea, which is blue. In the evening the sun is cooler, so it turns red.",
        "Because of Rayleigh scattering.\n\n```python\ndef scattering(nm: float) -> float:\n    return (550 / nm) ** 4\n"
        "```\n\n| colour | nm | scattered |\n|:--|--:|--:|\n| blue | 450 | 2.2 |\n| red | 700 | 0.4 |",
        "<think>Is this about Rayleigh?</think> It is a matter of what `vector<int>` your eyes hold; nobody knows.",
    ],
    "zh": [
        "阳光包含各种颜色的光。空气分子对**蓝光**的散射远强于红光：散射强度与 $\\lambda^{-4}$ 成正比，"
        "因此蓝光（$450$ 纳米）的散射大约是红光的\n\n$$\\left(\\frac{700}{450}\\right)^4 \\approx 5.9$$\n\n倍。\n\n"
        "- 中午光线穿过大气的路程*较短*，散射的蓝光从四面八方进入眼睛。\n- 傍晚路程很长，蓝光在途中已被散射掉，剩下的是红光。",
        "天空反射了大海的蓝色。傍晚太阳变凉了，所以变红。",
        "这是瑞利散射。\n\n```python\ndef scattering(nm: float) -> float:\n    return (550 / nm) ** 4\n```\n\n"
        "| 颜色 | 纳米 | 散射 |\n|:--|--:|--:|\n| 蓝 | 450 | 2.2 |\n| 红 | 700 | 0.4 |",
        "<think>是瑞利散射吗？</think> 这取决于你的 `vector<int>`，没有人知道。",
    ],
}


def items(view: str, language: str) -> list[dict[str, Any]]:
    """Rows as `import` takes them."""
    if view not in _COUNTS:
        return []
    answers = _ANSWERS[language]
    count = _COUNTS[view]
    if view == "past":
        return [
            {
                "prompt": f"{_PROMPTS[language]} ({number})",
                "responses": [f"{answers[1]} {number}", f"{answers[3]} {number}"],
            }
            for number in range(1, 60)
        ]
    return [{"prompt": _PROMPTS[language], "responses": answers[:count]}]
