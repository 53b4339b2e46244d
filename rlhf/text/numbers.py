"""Numbers in a text: in digits, Chinese numerals, or English words."""

import re
import unicodedata

_DIGITS = re.compile(  # no \w before it: that takes in Chinese characters
    r"(?<![A-Za-z0-9_.])(?P<sign>[-+\u2212]?)[$€£¥]?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?P<power>[eE][-+]?\d+\b)?"
    r"(?:[/\u2044](?P<below>\d+))?(?P<scale>\s*[万亿]+)?",
    re.ASCII,
)
_CHINESE = re.compile("负?[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?")
_CHINESE_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}
_CHINESE_MYRIADS = {"万": 10**4, "亿": 10**8}

_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_SMALL_NAMES = f"zero one two three four five six seven eight nine {_TEENS}"
_TENS_NAMES = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {name: value for value, name in enumerate(_SMALL_NAMES.split())}
_TENS = {name: 10 * value for value, name in enumerate(_TENS_NAMES.split(), start=2)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_NAME = "|".join([*_SMALL, *_TENS, *_LARGE, "hundred"])
_ENGLISH = re.compile(rf"\b(?:minus )?(?:{_NAME})(?:(?:[ -]| and )(?:{_NAME}))*\b")


def last_number(text: str) -> float | None:
    """The last number of a text, None where it holds none.

    Digits go before words: only a text without digits is read for Chinese numerals, and only one without
    these for English words, so that "答案是 42，是一个整数" is 42. Read are: "1,234.5", "-3", "１２", "1e3",
    "3/4", "50%" (50), "3.5万" (35000), "三百零五", "负二点五", "二〇二六", "minus forty-two",
    "one hundred and five".
    """
    plain = unicodedata.normalize("NFKC", text)
    if found := list(_DIGITS.finditer(plain)):
        return _in_digits(found[-1])
    if found := list(_CHINESE.finditer(plain)):
        return _in_chinese(found[-1].group())
    if found := list(_ENGLISH.finditer(plain.casefold())):
        return _in_english(found[-1].group())
    return None


def _in_digits(found: re.Match[str]) -> float:
    number = float(found["number"].replace(",", "") + (found["power"] or ""))
    if found["below"] and float(found["below"]):
        number /= float(found["below"])
    for unit in (found["scale"] or "").strip():
        number *= _CHINESE_MYRIADS[unit]
    return -number if found["sign"] in ("-", "\u2212") else number


def _in_chinese(text: str) -> float:
    whole, _, decimals = text.removeprefix("负").partition("点")
    if any(character in _CHINESE_UNITS | _CHINESE_MYRIADS for character in whole):
        number = float(_chinese_whole(whole))
    else:
        number = float("".join(str(_CHINESE_DIGITS[character]) for character in whole))
    if decimals:
        number += float("0." + "".join(str(_CHINESE_DIGITS[character]) for character in decimals))
    return -number if text.startswith("负") else number


def _chinese_whole(text: str) -> int:
    """三百零五 is 305: a digit waits for its unit, and what has gathered for 万 or 亿."""
    total = gathered = digit = 0
    for character in text:
        if character in _CHINESE_UNITS:
            gathered += (digit or 1) * _CHINESE_UNITS[character]
            digit = 0
        elif character in _CHINESE_MYRIADS:
            scale, below = _CHINESE_MYRIADS[character], gathered + digit
            if total and total < scale:  # 一万亿: what stands before is multiplied as a whole
                total = (total + below) * scale
            else:
                total += (below or 1) * scale
            gathered = digit = 0
        else:
            digit = _CHINESE_DIGITS[character]
    return total + gathered + digit


def _in_english(text: str) -> float:
    total = gathered = (
        0.0  # not int: a policy that stutters "hundred" overflows to infinity, without an error
    )
    for name in re.findall(r"[a-z]+", text.removeprefix("minus ")):
        if name == "hundred":
            gathered = (gathered or 1.0) * 100
        elif name in _LARGE:
            total, gathered = total + (gathered or 1.0) * _LARGE[name], 0.0
        else:
            gathered += _SMALL.get(name, 0) + _TENS.get(name, 0)
    return -(total + gathered) if text.startswith("minus ") else total + gathered
