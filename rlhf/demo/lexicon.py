"""The words of the embedded world, in English and Chinese.

A table maps a key (the English word, which is what a spec stores) to how the word looks in each language.
Words of one table never occur inside the words of another that could stand in the same answer, so that
`mentions` finds them without doubt.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Word(NamedTuple):
    """One word; `plural` and `measure` (the Chinese counting word) only where things are counted."""

    en: str
    zh: str
    plural: str = ""
    measure: str = ""

    def surface(self, language: Language) -> str:
        """How the word is written in `language`."""
        return self.en if language == "en" else self.zh


Table: TypeAlias = Mapping[str, Word]


def _table(words: str) -> dict[str, Word]:
    rows = (Word(*word.split()) for word in words.split(","))
    return {word.en: word for word in rows}


NAMES = _table(
    """
    Mia 小美, Leo 小龙, Ann 小安, Ben 小本, Tom 小汤, Eva 小花, Max 小马, Sam 小山, Dan 小丹, Joy 小乐,
    Amy 小梅, Bob 小宝, Kim 小金, Ray 小雷, Zoe 小冰, Ian 小严, Lin 小林, Liz 小丽, Roy 小罗, Una 小云
    """
)
PLACES = _table(
    """
    Rome 罗马, Paris 巴黎, London 伦敦, Berlin 柏林, Tokyo 东京, Oslo 奥斯陆, Boston 波士顿, Geneva 日内瓦,
    Madrid 马德里, Cairo 开罗, Seoul 首尔, Athens 雅典, Lima 利马, Vienna 维也纳
    """
)
COLOURS = _table(
    """
    red 红色, blue 蓝色, green 绿色, yellow 黄色, black 黑色, white 白色, brown 棕色, pink 粉色
    """
)
THINGS = _table(
    """
    cup 杯子 cups 个, hat 帽子 hats 顶, book 书 books 本, ball 球 balls 个, bag 包 bags 个,
    chair 椅子 chairs 把, lamp 灯 lamps 盏, key 钥匙 keys 把, coat 外套 coats 件, pen 钢笔 pens 支,
    drum 鼓 drums 面, kite 风筝 kites 只, ring 戒指 rings 枚, map 地图 maps 张, plate 盘子 plates 个,
    spoon 勺子 spoons 把, candle 蜡烛 candles 支, towel 毛巾 towels 条
    """
)
NUMBERS = _table(  # from 0 up: a number's place is its value
    """
    zero 零, one 一, two 二, three 三, four 四, five 五, six 六, seven 七, eight 八, nine 九,
    ten 十, eleven 十一, twelve 十二, thirteen 十三, fourteen 十四, fifteen 十五, sixteen 十六,
    seventeen 十七, eighteen 十八, nineteen 十九, twenty 二十
    """
)
SUBJECTS = _table(
    """
    food 饭菜, room 房间, staff 店员, view 风景, bed 床铺, tea 茶水, music 音乐, film 电影,
    garden 花园, bath 浴室, soup 汤, show 演出, train 火车, shop 商店
    """
)
PRAISE = _table(
    """
    great 很棒, lovely 可爱, perfect 完美, superb 出色, charming 迷人, excellent 优秀, pleasant 舒服,
    splendid 精彩
    """
)
BLAME = _table(
    """
    awful 很差, dirty 肮脏, boring 无聊, terrible 糟糕, broken 破烂, horrible 恶心, shabby 破旧, noisy 吵闹
    """
)
MOODS = _table("positive 正面, negative 负面")
DAYS = _table(
    """
    Monday 星期一, Tuesday 星期二, Wednesday 星期三, Thursday 星期四, Friday 星期五, Saturday 星期六,
    Sunday 星期日
    """
)
TROUBLES = _table("broken 坏了, late 没到, wrong 发错了")
REMEDIES = _table("replace 换新, trace 催送, refund 退款")

COUNTED_TWO_ZH = "两"  # two of something is 两, the number itself 二


def number(value: int) -> str:
    """The key of a number from 0 to 20."""
    return tuple(NUMBERS)[value]


def counted(value: int, language: Language) -> str:
    """How a number is written before a thing."""
    return COUNTED_TWO_ZH if (language, value) == ("zh", 2) else NUMBERS[number(value)].surface(language)


def mentions(text: str, table: Table, language: Language) -> list[str]:
    """The keys of `table` that `text` names, in the order in which they stand, repetitions included.

    `text` is in lower case, as `wording.normal` leaves it. Plurals count; numbers may also be digits.
    """
    pattern, keys = _finder(tuple(table), tuple(table.values()), language)
    return [keys[found.group()] for found in pattern.finditer(text)]


@lru_cache(maxsize=64)
def _finder(
    keys: tuple[str, ...], words: tuple[Word, ...], language: Language
) -> tuple[re.Pattern[str], dict[str, str]]:
    forms: dict[str, str] = {}
    for key, word in zip(keys, words, strict=True):
        forms[word.surface(language).casefold()] = key
        if language == "en" and word.plural:
            forms[word.plural] = key
    if number(2) in keys:
        forms |= {str(value): key for value, key in enumerate(NUMBERS)}
        if language == "zh":
            forms[COUNTED_TWO_ZH] = number(2)
    longest_first = sorted(forms, key=len, reverse=True)
    alternatives = "|".join(re.escape(form) for form in longest_first)
    whole = rf"(?<![a-z0-9])(?:{alternatives})(?![a-z0-9])"
    return re.compile(whole), forms
