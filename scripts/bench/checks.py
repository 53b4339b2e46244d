"""Whether the contenders did equal and real work; what they did not do is said in words."""

import math
from collections.abc import Iterator, Mapping

from scripts.bench.jobs import Job, Report
from scripts.bench.lengths import end_probability, shares
from scripts.bench.shapes import Workload

SURE = 4.0  # standard errors
CALIBRATION = 0.05  # of the mean length: the end token's probability was set on some prompts, not on all
SCORES_AGREE = {"fp32": 1e-3, "bf16": 5e-2}


def unequal_work(
    reports: Mapping[str, Report], jobs: Mapping[str, Job], workload: Workload, *, trained: bool = False
) -> Iterator[str]:
    """What speaks against comparing these runs, one a contender; nothing, as it should be.

    Lengths are held against the geometric distribution, unless `trained`: then the policy may have changed
    them. The reward model's scores of the same answers are held against the first contender's.
    """
    name, first = next(iter(reports.items()))
    for contender, report in reports.items():
        job = jobs[contender]
        if report.optimiser_steps != job.steps_expected:
            yield f"{contender}: {report.optimiser_steps} optimiser steps, {job.steps_expected} were due"
        counts = [len(rows) for rows in report.episodes]
        if counts != [job.batch_size] * job.iterations or len(report.seconds) != job.iterations:
            yield f"{contender}: iterations of {counts} episodes, not {job.iterations} of {job.batch_size}"
        for model, share in report.moved.items():
            if not share > 0:
                yield f"{contender}: its {model} was not trained, no weight has moved"
        exact = {job.precision, jobs[name].precision} == {"fp32"}
        tolerance = SCORES_AGREE["fp32" if exact else "bf16"]
        apart = [abs(a - b) for a, b in zip(report.probe_scores, first.probe_scores, strict=True)]
        if max(apart) > tolerance:
            yield f"{contender}: its reward differs by {max(apart):.3g} on the same answer"
        if not trained:
            yield from unusual_lengths(contender, report, workload)


def unusual_lengths(contender: str, report: Report, workload: Workload) -> Iterator[str]:
    """Whether prompts or responses are not as long as the workload says."""
    rows = [row for rows in report.episodes for row in rows]
    low, high = workload.prompt_tokens
    if not all(low <= prompt <= high for prompt, _ in rows):
        yield f"{contender}: prompts of other lengths than {low} to {high} tokens"
    probability = end_probability(workload.response_mean, workload.response_limit)
    weights = shares(probability, workload.response_limit)
    mean = sum(length * share for length, share in enumerate(weights, start=1))
    variance = sum((length - mean) ** 2 * share for length, share in enumerate(weights, start=1))
    found = sum(response for _, response in rows) / len(rows)
    if abs(found - mean) > SURE * math.sqrt(variance / len(rows)) + CALIBRATION * mean:
        yield f"{contender}: responses of {found:.1f} tokens on average, {mean:.1f} were due"
