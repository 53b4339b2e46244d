"""From reports to figures: episodes a second, time by part, distance from the machine's limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from scripts.bench.contenders import MachineRates
from scripts.bench.cost import limit, update_flops
from scripts.bench.jobs import PARTS, Job, Report
from scripts.bench.shapes import Workload

ELEMENT_BYTES = {"fp32": 4, "bf16": 2}
MIB = float(1 << 20)
LIMITED = ("generation", "scoring", "update")


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of repeated runs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Figures:
    """One run, its warm-up left out."""

    episodes_per_second: float
    response_tokens_per_second: float
    peak_mib: float  # above what the imports take; on a GPU, of tensors
    ms_per_episode: Mapping[str, float]  # by part
    times_limit: Mapping[str, float]  # by part, and `total`: 1 is what the machine allows
    update_utilisation: float  # FLOPs that the update needs, over those the machine could have done


def figures_of(report: Report, job: Job, workload: Workload, rates: MachineRates) -> Figures:
    """The figures of a run on a machine of these rates, each part's limit in the precision it was seen in."""
    shape, seconds = workload.shape, report.seconds[report.warmup :]
    episodes = report.episodes[report.warmup :]
    count = sum(len(rows) for rows in episodes)
    spent = {part: sum(lap[part] for lap in seconds) for part in PARTS}
    total, least = sum(spent.values()), {part: 0.0 for part in LIMITED}
    for part in LIMITED:
        precision = precision_in(report, part)
        for rows in episodes:
            bound = limit(
                shape,
                rows,
                rates.at(precision),
                epochs=job.epochs,
                steps=job.epochs * job.minibatches,
                element_bytes=ELEMENT_BYTES[precision],
            )
            least[part] += getattr(bound, part)
    update_rate = rates.at(precision_in(report, "update")).flops
    update_s = sum(update_flops(shape, rows, job.epochs) for rows in episodes) / update_rate
    return Figures(
        episodes_per_second=count / total,
        response_tokens_per_second=sum(r for rows in episodes for _, r in rows) / total,
        peak_mib=report.peak_bytes / MIB,
        ms_per_episode={part: 1000.0 * spent[part] / count for part in PARTS},
        times_limit={
            **{part: spent[part] / least[part] for part in LIMITED},
            "total": total / sum(least.values()),
        },
        update_utilisation=update_s / spent["update"],
    )


def precision_in(report: Report, part: str) -> str:
    """What the policy's logits were in that part; where its output layer was not seen, the update's."""
    seen = dict(said.split(": ") for said in report.precision_seen)
    found = seen.get(part, seen.get("update", "torch.float32"))
    return "bf16" if found == "torch.bfloat16" else "fp32"


@dataclass(frozen=True)
class Summary:
    """One contender over all its runs; the ratios are to the first contender, pair by pair."""

    contender: str
    episodes_per_second: Spread
    speed_ratio: Spread
    response_tokens_per_second: Spread
    peak_mib: Spread
    memory_ratio: Spread
    ms_per_episode: Mapping[str, Spread]
    times_limit: Mapping[str, Spread]
    update_utilisation: Spread


def summarise(runs: Mapping[str, Sequence[Figures]]) -> list[Summary]:
    """Each contender's runs, in the order of the pairs; the others are compared to the first."""
    first = next(iter(runs.values()))
    return [
        Summary(
            contender=contender,
            episodes_per_second=Spread.of([one.episodes_per_second for one in mine]),
            speed_ratio=Spread.of(
                [
                    one.episodes_per_second / other.episodes_per_second
                    for one, other in zip(mine, first, strict=True)
                ]
            ),
            response_tokens_per_second=Spread.of([one.response_tokens_per_second for one in mine]),
            peak_mib=Spread.of([one.peak_mib for one in mine]),
            memory_ratio=Spread.of(
                [one.peak_mib / other.peak_mib for one, other in zip(mine, first, strict=True)]
            ),
            ms_per_episode={part: Spread.of([one.ms_per_episode[part] for one in mine]) for part in PARTS},
            times_limit={
                part: Spread.of([one.times_limit[part] for one in mine]) for part in (*LIMITED, "total")
            },
            update_utilisation=Spread.of([one.update_utilisation for one in mine]),
        )
        for contender, mine in runs.items()
    ]
