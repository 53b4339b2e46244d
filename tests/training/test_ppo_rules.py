"""The rules of a PPO run: warnings, best checkpoint, KL controller, prompts, seeds, forecast."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from ppo_parts import Made, make_ppo, make_roles, make_updater, weights

from rlhf.algos.kl import AdaptiveKl, FixedKl
from rlhf.config import KlConfig, PpoStage
from rlhf.rewards.base import Scored, Scores
from rlhf.training.degenerate import degenerate_ends, diagnose
from rlhf.training.early_stop import reason_to_end
from rlhf.training.forecast import forecast, predicted_seconds
from rlhf.training.held_out import evaluate, is_better
from rlhf.training.machine import Stop, auto_learning_rate
from rlhf.training.ppo import Ppo, Progress, kl_controller
from rlhf.training.seeds import sub_seed

STAGE = PpoStage(total_episodes=16, batch_size=8, minibatch_size=4, epochs=1, response_length=6)
HEALTHY = {
    "kl": 3.0,
    "score": 1.0,
    "length": 20.0,
    "end_rate": 0.9,
    "entropy": 1.5,
    "distinct_responses": 1.0,
    "engine_gap": 1e-4,
}


@pytest.mark.parametrize(
    "now",
    [
        {},
        {"kl": 24.9, "score": 5.0, "length": 2.0, "end_rate": 0.05, "entropy": 0.151},
        {"distinct_responses": 0.3, "engine_gap": 0.05},
        {"kl": 40.0, "score": 1.0},  # far away, but the score has not risen: no reward is being gamed
    ],
)
def test_healthy_figures_bring_no_warning(now: dict[str, float]) -> None:
    assert diagnose(HEALTHY | now, HEALTHY, kl_budget=25.0) == {}


@pytest.mark.parametrize(
    ("now", "name", "says"),
    [
        ({"kl": 25.1, "score": 1.1}, "over-optimisation", "KL is 25.1 nats, past kl.budget=25"),
        ({"length": 1.9}, "end-token-collapse", "1.9 tokens long"),
        ({"end_rate": 0.04}, "never-ends", "4% of the responses end before the limit"),
        ({"entropy": 0.149}, "entropy-collapse", "from 1.500 to 0.149 nats"),
        ({"distinct_responses": 0.29}, "identical-responses", "29% of the responses differ"),
        ({"engine_gap": 0.051}, "engine-gap", "5.1% off"),
    ],
)
def test_each_end_has_its_warning(now: dict[str, float], name: str, says: str) -> None:
    found = diagnose(HEALTHY | now, HEALTHY, kl_budget=25.0)
    assert list(found) == [name]
    assert says in found[name]


def test_short_answers_are_no_collapse_where_they_were_short_from_the_start() -> None:
    short = HEALTHY | {"length": 1.5}
    assert diagnose(short, short, kl_budget=25.0) == {}


def checkpoint(score: float, kl: float, reward: float = 0.0) -> dict[str, float]:
    return {"eval/validation_score": score, "eval/kl": kl, "eval/score": reward}


@pytest.mark.parametrize(
    ("candidate", "best", "wins"),
    [
        (checkpoint(-5.0, 1.0), {}, True),  # something must be published
        (checkpoint(-5.0, 99.0), {}, True),
        (checkpoint(1.1, 9.0), checkpoint(1.0, 2.0), True),
        (checkpoint(1.0, 2.0), checkpoint(1.0, 9.0), False),  # the earlier of equals stays
        (checkpoint(9.9, 10.1), checkpoint(1.0, 2.0), False),  # past the budget no score counts
        (checkpoint(1.0, 10.0), checkpoint(9.9, 10.1), True),
        (checkpoint(1.0, 11.0), checkpoint(9.9, 12.0), True),  # none within: the nearest
        (checkpoint(9.9, 12.0), checkpoint(1.0, 11.0), False),
        (checkpoint(0.9, 2.0, reward=50.0), checkpoint(1.0, 2.0, reward=1.0), False),  # gamed
    ],
)
def test_the_best_checkpoint_is_the_best_valued_within_the_budget(
    candidate: dict[str, float], best: dict[str, float], wins: bool
) -> None:
    assert is_better(candidate, best, kl_budget=10.0, kl_price=0.0) is wins


@pytest.mark.parametrize(
    ("candidate", "best", "price", "wins"),
    [
        (checkpoint(1.3, 8.0), checkpoint(1.0, 4.0), 0.05, True),  # 0.3 for 4 nats: 0.075 a nat
        (checkpoint(1.3, 8.0), checkpoint(1.0, 4.0), 0.1, False),
        (checkpoint(0.9, 2.0), checkpoint(1.0, 4.0), 0.1, True),  # nearer, and not so much worse
        (checkpoint(1.0, 9.0), checkpoint(5.0, 10.1), 99.0, True),  # the budget comes first
    ],
)
def test_a_further_checkpoint_has_to_be_worth_its_nats(
    candidate: dict[str, float], best: dict[str, float], price: float, wins: bool
) -> None:
    assert is_better(candidate, best, kl_budget=10.0, kl_price=price) is wins


def test_the_kl_controller_is_the_one_that_is_named() -> None:
    assert kl_controller(KlConfig(kind="fixed", coef=0.3), 1000) == FixedKl(0.3)
    adaptive = kl_controller(KlConfig(kind="adaptive", coef=0.3, target=4.0, horizon=500), 1000)
    assert adaptive == AdaptiveKl(coef=0.3, target=4.0, horizon=500)
    assert adaptive.update(8.0, 100).coef == pytest.approx(0.3 * (1 + 0.2 * 100 / 500))
    annealed = kl_controller(KlConfig(kind="annealed", coef=0.2, start=5.0, anneal=0.5), 1000)
    courses = [annealed.coef]
    for _ in range(10):
        annealed = annealed.update(3.0, 100)
        courses.append(annealed.coef)
    assert courses == pytest.approx([1.0, 0.84, 0.68, 0.52, 0.36, *[0.2] * 6])


@pytest.fixture(scope="module")
def made() -> Made:
    return make_updater(STAGE, make_roles())


@pytest.fixture(scope="module")
def ppo(made: Made) -> Ppo:
    return make_ppo(made, prompts=11)


def test_every_pass_over_the_prompts_is_a_permutation_of_its_own(ppo: Ppo) -> None:
    order = ppo.prompt_order(range(33))
    passes = [order[start : start + 11] for start in (0, 11, 22)]
    assert all(sorted(one) == list(range(11)) for one in passes)
    assert passes[0] != passes[1] != passes[2]


def test_samples_of_a_prompt_follow_one_another(made: Made) -> None:
    stage = STAGE.model_copy(update={"samples_per_prompt": 4})
    order = replace(make_ppo(made, prompts=11), stage=stage).prompt_order(range(88))
    assert order[::4] == make_ppo(made, prompts=11).prompt_order(range(22))
    assert order == [index for index in order[::4] for _ in range(4)]
    ppo = replace(make_ppo(made, prompts=11), stage=stage)
    episodes = ppo.sample([ppo.prompts[0]] * 4, range(4), ppo.seed)
    assert len({episode.text for episode in episodes}) == 4  # each drawn anew


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"samples_per_prompt": 3}, "samples_per_prompt=3 does not divide batch_size=8.*try 2 or 4"),
        ({"advantage": "rloo"}, "set samples_per_prompt to 2 or more"),
        ({"advantage": "reinforce", "batch_size": 1, "minibatch_size": 1}, "batch_size=1 leaves"),
        ({"advantage": "reinforce_pp", "whiten_advantages": False}, "has its whitening for a baseline"),
    ],
)
def test_what_an_estimator_cannot_work_with_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PpoStage.model_validate({"batch_size": 8, "minibatch_size": 4, **options})


def test_the_order_is_resumed_by_number(ppo: Ppo) -> None:
    order = ppo.prompt_order(range(40))
    assert [ppo.prompt_order([number])[0] for number in range(40)] == order
    assert ppo.prompt_order(range(8, 16)) + ppo.prompt_order(range(16, 24)) == order[8:24]
    assert replace(ppo, seed=18).prompt_order(range(40)) != order


def test_sub_seeds_stay_what_they_are() -> None:
    """By sha256sum: the first 16 digits for "0/ppo" and "3/prompts/2", halved."""
    assert sub_seed(0, "ppo") == 0x1CB967D143BD1BF2
    assert sub_seed(3, "prompts", 2) == 0x17CBE76DB22AE165
    assert len({sub_seed(seed, "ppo", name) for seed in range(50) for name in range(50)}) == 2500
    assert sub_seed(1, "a", "b") != sub_seed(1, "b", "a")
    assert 0 <= max(sub_seed(0, name) for name in range(1000)) < 2**63


def test_the_samples_of_an_iteration_do_not_depend_on_those_before(ppo: Ppo) -> None:
    prompts = [ppo.prompts[index] for index in ppo.prompt_order(range(8, 16))]
    one = ppo.sample(prompts, range(8, 16), ppo.seed)
    ppo.sample(prompts[:3], range(3), ppo.seed)
    other = ppo.sample(prompts[::-1], range(15, 7, -1), ppo.seed)[::-1]
    assert [episode.text for episode in one] == [episode.text for episode in other]


def test_an_evaluation_draws_the_same_every_time_and_measures_as_an_iteration_does(ppo: Ppo) -> None:
    look = evaluate(ppo, 0.5)
    assert look == evaluate(ppo, 0.5)
    figures, samples = look.figures, look.samples
    assert figures["eval/score"] == pytest.approx(sum(sample["score"] for sample in samples) / 4)
    assert figures["eval/kl"] == pytest.approx(sum(sample["kl"] for sample in samples) / 4, abs=1e-6)
    assert figures["eval/end_rate"] == sum(sample["finish"] == "eos" for sample in samples) / 4
    lengths = [len(sample["response"].split()) + (sample["finish"] == "eos") for sample in samples]
    assert figures["eval/length"] == sum(lengths) / 4


def test_the_checkpoint_is_judged_by_the_validation_reward(made: Made) -> None:
    def judge(batch: Sequence[Scored]) -> Scores:
        return Scores(torch.full((len(batch),), 7.0))

    look = evaluate(replace(make_ppo(made), validation_reward=judge), 0.5)
    figures, samples = look.figures, look.samples
    assert figures["eval/validation_score"] == 7.0
    assert figures["eval/score"] != 7.0
    assert {sample["validation_score"] for sample in samples} == {7.0}


def test_an_iteration_says_what_it_did() -> None:
    ppo = make_ppo(make_updater(STAGE, make_roles()), learning_rate=0.004)
    progress = Progress(0, kl_controller(KlConfig(kind="adaptive", coef=0.5, target=1.0, horizon=100), 1000))
    first = ppo.iterate(progress, 1)
    second = ppo.iterate(progress, 2)
    assert [first["learning_rate"], second["learning_rate"]] == [0.004, 0.002]
    assert [first["episodes"], second["episodes"]] == [8.0, 16.0]
    assert first["kl_coef"] == 0.5
    error = min(max(first["kl"] / 1.0 - 1, -0.2), 0.2)
    assert second["kl_coef"] == pytest.approx(0.5 * (1 + error * 8 / 100))
    assert first["reward"] == pytest.approx(
        first["score"] - (1 - first["end_rate"]) * STAGE.missing_end_score - 0.5 * first["kl"], abs=1e-4
    )
    assert first["score/numbers"] == pytest.approx(first["score"])
    assert progress.iteration == 2
    assert progress.first["score"] == first["score"]
    assert all(value == value for value in first.values())


def test_the_penalty_is_the_estimate_that_is_named_and_both_are_said() -> None:
    for name, figure in (("k1", "kl"), ("k3", "kl_k3")):
        ppo = replace(make_ppo(make_updater(STAGE, make_roles())), kl_estimator=name)
        first = ppo.iterate(Progress(0, FixedKl(0.5)), 1)
        assert first["kl_k3"] > 0
        assert abs(first["kl"] - first["kl_k3"]) > 0.1
        paid = first["score"] - (1 - first["end_rate"]) * STAGE.missing_end_score - first["reward"]
        assert paid == pytest.approx(0.5 * first[figure], abs=1e-4)


def test_a_forecast_trains_nothing_and_says_time_and_memory(made: Made, ppo: Ppo) -> None:
    before = weights(made.roles.policy_value)
    said = forecast(ppo)
    assert said.startswith("2 iterations of 8 responses, about ")
    assert "GiB of memory" in said
    assert all(torch.equal(value, before[name]) for name, value in weights(made.roles.policy_value).items())
    assert all(value.grad is None for value in made.roles.policy_value.parameters())
    assert predicted_seconds(ppo) > 0


def test_a_forecast_short_of_memory_takes_smaller_microbatches() -> None:
    class Small(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, batch: object) -> object:
            if batch.ids_1N.count_nonzero() > 20:  # type: ignore[attr-defined]
                raise torch.OutOfMemoryError("CUDA out of memory")
            return self.inner(batch)

    made = make_updater(STAGE, make_roles(), wrap=Small)
    forecast(make_ppo(made))
    assert made.updater.budget.tokens < 30
    assert made.said


def test_a_stop_is_asked_for_by_the_clock_or_by_hand() -> None:
    now = [100.0]
    stop = Stop(0.5, clock=lambda: now[0])
    assert stop.reason is None
    now[0] = 100.0 + 1799
    assert stop.reason is None
    now[0] = 100.0 + 1800
    assert stop.reason == "stage.max_hours is reached"
    by_hand = Stop(None)
    assert by_hand.reason is None
    by_hand.request("SIGTERM")
    assert by_hand.reason == "SIGTERM"


@pytest.mark.parametrize(
    ("parameters", "adapter", "rate"),
    [(10**9, "none", 3e-6), (10**9 // 8, "none", 1.2e-5), (10**9, "lora", 3e-5), (1000, "none", 2e-4)],
)
def test_the_learning_rate_follows_the_size(parameters: int, adapter: str, rate: float) -> None:
    assert auto_learning_rate("ppo", parameters, adapter) == pytest.approx(rate, rel=0.05)


def ending(options: dict[str, object], now: dict[str, float], without_gain: int = 0, at: int = 3) -> str:
    stage = PpoStage.model_validate({"batch_size": 8, "minibatch_size": 8, "total_episodes": 40, **options})
    progress = Progress(at, FixedKl(0.1), first=dict(HEALTHY), looks_without_gain=without_gain)
    figures = HEALTHY | now
    return reason_to_end(stage, progress, figures, diagnose(figures, HEALTHY, kl_budget=25.0))


@pytest.mark.parametrize(
    ("options", "now", "without_gain", "says"),
    [
        ({"stop_kl": 4.0}, {"kl": 4.1}, 0, "KL is 4.1 nats a response, past stage.stop_kl=4"),
        ({"stop_on_degenerate": True}, {"entropy": 0.1}, 0, "entropy-collapse, as stage.stop_on_degenerate"),
        ({"stop_on_degenerate": True}, {"end_rate": 0.0}, 0, "never-ends"),
        ({"plateau_patience": 3}, {}, 3, "3 evaluations without a better checkpoint"),
    ],
)
def test_a_run_ends_early_for_a_reason(
    options: dict[str, object], now: dict[str, float], without_gain: int, says: str
) -> None:
    assert says in ending(options, now, without_gain)
    assert ending({}, now, without_gain) == ""  # only where the stage asks for it
    assert ending({**options, "critic_warmup": 3}, now, without_gain) == ""  # nothing was learnt yet
    assert ending(options, now, without_gain, at=5) == ""  # it is over anyway


@pytest.mark.parametrize(
    ("options", "now", "without_gain"),
    [
        ({"stop_kl": 4.0}, {"kl": 4.0}, 0),
        ({"stop_on_degenerate": True}, {"engine_gap": 0.5}, 0),  # a warning, no end that was run into
        ({"plateau_patience": 3}, {}, 2),
    ],
)
def test_a_run_goes_on(options: dict[str, object], now: dict[str, float], without_gain: int) -> None:
    assert ending(options, now, without_gain) == ""


def test_responses_that_never_ended_are_no_end_that_was_run_into() -> None:
    endless = HEALTHY | {"end_rate": 0.01}
    found = diagnose(endless, endless, kl_budget=25.0)
    assert list(found) == ["never-ends"]
    assert degenerate_ends(found, endless) == []
    assert degenerate_ends(found, HEALTHY) == ["never-ends"]
