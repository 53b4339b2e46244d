"""Numbers as the page shows them."""

from rlhf.evaluation.page.numbers import chance, interval, number, percent, signed


def test_numbers() -> None:
    cases = {
        0.0: "0",
        3.0: "3",
        0.12345: "0.123",
        12.34: "12.3",
        1234.5: "1,234",
        -0.5: "−0.5",
        16000: "16,000",
    }
    assert {value: number(value) for value in cases} == cases
    assert number(None) == number(float("nan")) == percent(None) == "–"
    assert percent(0.8437) == "84.4%"
    assert (signed(0.25), signed(-0.25), signed(0.0)) == ("+0.25", "−0.25", "0")
    assert (chance(0.0321), chance(0.00005)) == ("p = 0.0321", "p < 0.0001")


def test_an_interval_has_the_same_decimals_throughout() -> None:
    def shown(estimate: float, low: float, high: float, style: str = "number") -> str:
        return interval({"estimate": estimate, "low": low, "high": high}, style).striptags()

    assert shown(0.6, 0.55, 0.65) == "0.60 [0.55, 0.65]"
    assert shown(9.81, 9.19, 10.43) == "9.8 [9.2, 10.4]"
    assert shown(0.2, 0.17, 0.23, "signed") == "+0.200 [+0.170, +0.230]"
    assert shown(-0.01, -0.06, 0.04, "signed") == "−0.01 [−0.06, +0.04]"
    assert shown(1234.0, 1000.0, 1500.0) == "1,234 [1,000, 1,500]"
    assert shown(0.5, 0.5, 0.5) == "0.5 [0.5, 0.5]"
    assert shown(0.5, 0.4, 0.6, "percent") == "50.0% [40.0%, 60.0%]"
    assert "not known" in interval(None)
