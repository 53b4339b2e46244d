"""What was measured, as Markdown: for the console, for docs/results/bench.md and between marks in a page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.bench.contenders import SAYS
from scripts.bench.figures import LIMITED
from scripts.bench.jobs import PARTS

BEGINS, ENDS = "<!-- figures of make bench -->", "<!-- end of the figures -->"
Record = Mapping[str, Any]


def page(record: Record) -> str:
    """docs/results/bench.md: every part with what it was measured on."""
    lines = [
        "# Measured: PPO beside TRL 1.12.0",
        "",
        "`make bench` repeats it on a CPU; [what the figures are](../performance.md).",
    ]
    for name, tables in TABLES.items():
        if name in record:
            lines += ["", f"## {TITLES[name]}", "", *setting_lines(record[name]), "", *tables(record[name])]
    return "\n".join(lines) + "\n"


def setting_lines(part: Record) -> Iterator[str]:
    """Commit, machine and versions of one part."""
    setting, versions = part["setting"], ", ".join(f"{name} {it}" for name, it in part["versions"].items())
    dirty = " with uncommitted changes" if setting["dirty"] else ""
    yield f"    {part['command']}"
    yield ""
    yield f"{setting['date']}, commit `{setting['commit'][:12]}`{dirty}."
    yield (
        f"{setting['cores']} cores of {setting['cpu']}, {setting['memory_gib']} GiB, "
        f"{setting['gpu'] or 'no GPU'}; load {setting['load_before']} before. "
        f"Python {setting['python']}, {versions}."
    )


def speed_lines(part: Record) -> Iterator[str]:
    """A table of speed and memory, and one of the time by part, for each workload."""
    for workload in part["workloads"].values():
        yield from (f"### {workload['name']}: {workload['says']}", "")
        rates = workload["rates"]
        yield (
            f"Medians of {workload['pairs']} runs, in turn (least to greatest). The machine beside them: "
            f"{_spread(rates['fp32'], 1e-9)} GFLOP/s in fp32, {_spread(rates['bf16'], 1e-9)} in bf16, "
            f"{_spread(rates['bytes'], 1e-9)} GB/s."
        )
        yield ""
        yield from _table(
            ("", "episodes/s", "times TRL", "response tokens/s", "peak MiB", "of TRL's"),
            [
                (
                    SAYS[row["contender"]],
                    _spread(row["episodes_per_second"]),
                    _spread(row["speed_ratio"]),
                    _spread(row["response_tokens_per_second"]),
                    _spread(row["peak_mib"]),
                    _spread(row["memory_ratio"]),
                )
                for row in workload["summary"]
            ],
        )
        yield ""
        yield from _table(
            (
                "ms an episode",
                *PARTS,
                *(f"{part}, times the limit" for part in (*LIMITED, "total")),
                "FLOPs used",
            ),
            [
                (
                    SAYS[row["contender"]],
                    *(_number(row["ms_per_episode"][name]["median"]) for name in PARTS),
                    *(_number(row["times_limit"][name]["median"]) for name in (*LIMITED, "total")),
                    f"{row['update_utilisation']['median']:.0%}",
                )
                for row in workload["summary"]
            ],
        )
        for problem in workload["unequal"]:
            yield from ("", f"**Not comparable**: {problem}.")
        yield ""


def curve_lines(part: Record) -> Iterator[str]:
    """Where the curves end, and the picture."""
    reached = ", ".join(f"{SAYS[name]} {score:.3f}" for name, score in part["reached"].items())
    yield (
        f"Score over the last quarter of {part['episodes']} episodes, "
        f"mean of {part['seeds']} seeds: {reached}."
    )
    yield (
        f"Difference {part['difference']:+.3f} (standard error {part['standard_error']:.3f}): ours is "
        f"{'below' if part['below'] else 'not below'}."
    )
    yield from (f"**Not comparable**: {problem}." for problem in part["unequal"])
    if "picture" in part:  # drawn where it is written down
        yield from ("", f"![Score against episodes]({part['picture']})")


def leak_lines(part: Record) -> Iterator[str]:
    """Growth in an hour's worth of iterations."""
    yield f"{part['iterations']} iterations of workload {part['workload']}; growth in an hour of them:"
    yield ""
    rows = [
        (name, f"{it['share']:+.2%}", f"{it['low']:+.2%} to {it['high']:+.2%}", f"{it['mean']:.4g}")
        for name, it in part["growth"].items()
    ]
    yield from _table(("", "growth", "95 % interval", "mean"), rows)


TITLES = {"speed": "Speed and memory", "curves": "Learning curves", "leak": "Over many iterations"}
TABLES = {"speed": speed_lines, "curves": curve_lines, "leak": leak_lines}


def put_between_marks(file: Path, lines: list[str]) -> None:
    """Puts the lines between the marks of a page.

    Raises:
        ValueError: the page has no such marks.
    """
    text = file.read_text(encoding="utf-8")
    before, begins, rest = text.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise ValueError(f"{file}: the figures go between {BEGINS} and {ENDS}, which are not there")
    file.write_text(before + "\n".join([BEGINS, "", *lines, "", ENDS]) + after, encoding="utf-8")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---", *("---:",) * (len(head) - 1)), *rows):
        yield "| " + " | ".join(row) + " |"


def _spread(spread: Record, scale: float = 1.0) -> str:
    low, high = _number(spread["low"] * scale), _number(spread["high"] * scale)
    return f"{_number(spread['median'] * scale)} ({low} to {high})"


def _number(x: float) -> str:
    return f"{x:.0f}" if abs(x) >= 1000 else f"{x:.3g}"
