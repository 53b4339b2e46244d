"""How much of the best that can be had does PPO reach, where the best is known exactly?

`python scripts/check_optimum.py [--sizes small,hard] [--betas 0.5,0.2] [--seeds 0,1,2] [--estimator NAME]
[--out docs/results] [key=value ...]`, or `make optimum`.

Prompts and responses few enough to enumerate, so that the KL-regularised optimum is known in closed form, and
`python -m rlhf.run stage=ppo` itself run to it, with whatever `key=value` is given besides. A line for each
size, beta and seed: f, the share of the optimum's gain over the reference that PPO reaches; KL(pi || pi*);
the same of a supervised fit to pi* in as many steps, which says what the model has room for; and how far two
identities are off that hold where the arithmetic is right. The exit code is 1 where a line falls short.
"""

import argparse
import copy
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import LlamaForCausalLM

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rlhf.config import PpoStage  # noqa: E402
from rlhf.metrics.progress import Progress  # noqa: E402
from rlhf.training.machine import quiet_libraries  # noqa: E402
from scripts.enumeration import (  # noqa: E402
    Nearness,
    Objective,
    Space,
    levels_of,
    nearness,
    next_symbols,
    prefix_rows,
    response_logprobs,
    rows_of,
    soft_value_iteration,
)
from scripts.measuring.chains import chain  # noqa: E402
from scripts.measuring.setting import Setting, setting_now  # noqa: E402
from scripts.optimum_task import Task, make_task  # noqa: E402

SPACES = {"small": Space(symbols=6, length=4), "hard": Space(symbols=8, length=5)}
WANTED = {("small", 0.5): 0.995, ("small", 0.2): 0.98, ("hard", 0.5): 0.98, ("hard", 0.2): 0.96}
NEAR_FIT = 0.003  # on the hard one, so much below the supervised fit will do
LARGEST_ERROR = 1e-5  # of the identities; the reward's deviation is 1

EXACT = (  # what the closed form is of: this objective, on these responses
    "device=cpu",
    "precision=fp32",
    "trackers=[]",
    "rollout.batch_size=1024",
    "stage.eval_every=1000000",  # at the end alone, so that the last policy is the one published
    "stage.save_every=1000000",
    "stage.eval_prompts=1",
)
SMALL = (
    "stage.total_episodes=409600",
    "stage.batch_size=1024",
    "stage.minibatch_size=256",
    "stage.epochs=2",
    "stage.learning_rate=1e-3",
    "stage.whiten_advantages=false",
    "kl=annealed",
    "kl.start=5",
    "stage.lam=1.0",
    "stage.value_clip=10.0",
    "stage.value_coef=0.5",
)
HARD = (*SMALL, "stage.total_episodes=1843200", "stage.batch_size=2048", "stage.minibatch_size=512")
OPTIONS: dict[str, tuple[str, ...]] = {"small": SMALL, "hard": HARD}
DEFAULT_ESTIMATOR = "gae"
ADVANTAGES = (DEFAULT_ESTIMATOR, "one_step", "reinforce", "rloo", "reinforce_pp")
ESTIMATORS = {  # what an estimator cannot do without
    "rloo": ("stage.samples_per_prompt=8",),
    "reinforce_pp": ("stage.whiten_advantages=true",),
}

FIT_RATE, FIT_ROWS = 2e-3, 1024  # the supervised fit: learning rate at first, rows a step at most


@dataclass(frozen=True)
class Line:
    """One run, and what it is held against."""

    size: str
    beta: float
    seed: int
    estimator: str
    ppo: Nearness
    supervised: Nearness
    best: float  # J*
    iteration_error: float  # largest difference of soft value iteration and enumeration: J*, log pi*
    seconds: float  # of PPO
    options: tuple[str, ...]
    commit: str
    cores: int

    @property
    def what(self) -> tuple[str, str, float, int, tuple[str, ...]]:
        """What it is a measurement of."""
        return (self.size, self.estimator, self.beta, self.seed, self.own_options)

    @property
    def own_options(self) -> tuple[str, ...]:
        """Those that others of its size and estimator have not."""
        usual = options_of(self.size, self.estimator, ())
        return tuple(option for option in self.options if option not in usual)

    @classmethod
    def read(cls, said: dict[str, Any]) -> "Line":
        """As it was written down."""
        known: dict[str, Any] = dict(said)
        known |= {name: Nearness(**said[name]) for name in ("ppo", "supervised")}
        known["options"] = tuple(said["options"])
        return cls(**known)

    @property
    def short(self) -> str:
        """What is wrong with it; nothing where all is well."""
        problems: list[str] = []
        wanted = WANTED.get((self.size, self.beta), 0.0)
        if self.size == "hard":
            wanted = min(wanted, self.supervised.share - NEAR_FIT)
        if self.ppo.share < wanted:
            problems.append(f"f {self.ppo.share:.4f} is below {wanted:.4f}")
        errors = (self.ppo.identity_error, self.supervised.identity_error, self.iteration_error)
        if max(errors) > LARGEST_ERROR:
            problems.append(f"an identity is off by {max(errors):.1e}")
        return "; ".join(problems)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs all that is asked for, prints a table; 1 where a line falls short."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="small,hard")
    parser.add_argument("--betas", default="0.5,0.2")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--estimator",
        default=DEFAULT_ESTIMATOR,
        help=f"stage.advantage, of {', '.join(ADVANTAGES)}; several with commas between",
    )
    parser.add_argument(
        "--out", type=Path, help="a folder for optimum.json and optimum.md; other lines there stay"
    )
    parser.add_argument("options", nargs="*", metavar="key=value", help="for stage=ppo, as in stage.lam=0.95")
    asked = parser.parse_args(arguments)
    for said, known in ((asked.sizes, SPACES), (asked.estimator, ADVANTAGES)):
        if unknown := set(said.split(",")) - set(known):
            parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(known)}")
    quiet_libraries()
    setting, lines = setting_now(), []
    for size, beta, estimator, seed in itertools.product(
        asked.sizes.split(","), asked.betas.split(","), asked.estimator.split(","), asked.seeds.split(",")
    ):
        lines.append(check(size, float(beta), int(seed), estimator, setting, asked.options))
        if asked.out:  # what an interruption leaves is whole
            write_down(asked.out, setting, lines)
        print("\n".join(table(lines)), flush=True)
    for line in lines:
        if line.short:
            print(f"{line.size}, beta {line.beta:g}, seed {line.seed}: {line.short}", file=sys.stderr)
    return 1 if any(line.short for line in lines) else 0


def check(
    size: str, beta: float, seed: int, estimator: str, setting: Setting, more: Sequence[str] = ()
) -> Line:
    """Runs PPO on one task and measures it.

    Raises:
        RuntimeError: the command failed; it has said why.
    """
    options = options_of(size, estimator, more)
    with tempfile.TemporaryDirectory() as place:
        task = make_task(Path(place, "task"), SPACES[size], seed)
        objective = Objective(response_logprobs(task.ref_levels), task.rewards_PY, beta)
        values_P, optimal = soft_value_iteration(task.ref_levels, task.rewards_PY, beta)
        away = (response_logprobs(optimal) - objective.optimum_PY).abs().max().item()

        words = ["stage=ppo", *task.words, f"kl.coef={beta}", f"seed={seed}", *EXACT, *options]
        ran = chain("optimum", [words], Path(place))
        if ran.failed:
            raise RuntimeError(ran.failed)
        run = Path(place, "optimum", "ppo-1")
        trained = nearness(objective, response_logprobs(task.levels(run / "model")))
        steps = optimiser_steps(run)
        fitted = supervised_fit(task, rows_of(optimal), steps, seed)
    return Line(
        size,
        beta,
        seed,
        estimator,
        ppo=trained,
        supervised=nearness(objective, response_logprobs(fitted)),
        best=objective.best,
        iteration_error=max(away, abs(float(values_P.mean()) - objective.best)),
        seconds=ran.figures["ppo-1"]["seconds"],
        options=options,
        commit=setting.commit[:12] + ("+" if setting.dirty else ""),
        cores=setting.cores,
    )


def options_of(size: str, estimator: str, more: Sequence[str] = ()) -> tuple[str, ...]:
    """PPO's options: the size's own, the estimator's, and `more`; of several values of a key the last."""
    named = () if estimator == DEFAULT_ESTIMATOR else (f"stage.advantage={estimator}",)
    options = (*OPTIONS[size], *named, *ESTIMATORS.get(estimator, ()), *more)
    return tuple({option.partition("=")[0]: option for option in options}.values())


def optimiser_steps(run: Path) -> int:
    """How many steps a PPO run took."""
    stage = PpoStage(**yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["stage"])
    return stage.num_iterations * stage.epochs * (stage.batch_size // stage.minibatch_size)


def supervised_fit(task: Task, optimal_NLV: torch.Tensor, steps: int, seed: int) -> list[torch.Tensor]:
    """The levels of PPO's model, from where PPO began, after cross-entropy on pi* with Adam.

    Targets are pi*'s probabilities, not samples. Where there are more than FIT_ROWS rows, each step takes as
    many, drawn from pi*: their mean is the cross-entropy's own.
    """
    model = copy.deepcopy(LlamaForCausalLM.from_pretrained(task.policy)).train()
    rows = prefix_rows(task.prompts, task.space)
    targets_NLV = optimal_NLV.exp().float()
    weights_N = _row_weights(optimal_NLV, rows[:, -(task.space.length - 1) :], len(task.prompts))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=FIT_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    with Progress("supervised fit", total=steps) as progress:
        for step in range(1, steps + 1):
            chosen, share_N = slice(None), weights_N
            if len(rows) > FIT_ROWS:
                chosen = torch.multinomial(weights_N, FIT_ROWS, replacement=True, generator=generator)
                share_N = torch.full((FIT_ROWS,), 1.0 / FIT_ROWS)
            logprobs_NLV = next_symbols(model, rows[chosen], task.space.length)
            loss = -((targets_NLV[chosen] * logprobs_NLV).sum(dim=(1, 2)) * share_N).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            progress.update(step, {"loss": loss.item()})
    return levels_of(model.double().eval(), task.prompts, task.space)


def _row_weights(logprobs_NLV: torch.Tensor, symbols_NT: torch.Tensor, prompts: int) -> torch.Tensor:
    """pi*'s probability of each row's L - 1 symbols, over the number of prompts."""
    own_NT = logprobs_NLV[:, :-1].gather(2, symbols_NT[..., None]).squeeze(2)
    return (own_NT.sum(dim=1).exp() / prompts).float()


def table(lines: Sequence[Line]) -> list[str]:
    """A row a run, in Markdown."""
    head = (
        "size", "β", "seed", "estimator", "f", "KL(π‖π*)", "f, supervised", "KL, supervised",
        "J", "J*", "KL(π‖π_ref)", "identity", "two ways", "minutes", "cores", "commit", "",
    )  # fmt: skip
    rows = [head, ("---",) * len(head)]
    for line in lines:
        rows.append(
            (
                line.size,
                f"{line.beta:g}",
                str(line.seed),
                " ".join((line.estimator, *line.own_options)),
                f"{line.ppo.share:.4f}",
                f"{line.ppo.kl_to_optimum:.4f}",
                f"{line.supervised.share:.4f}",
                f"{line.supervised.kl_to_optimum:.4f}",
                f"{line.ppo.value:.4f}",
                f"{line.best:.4f}",
                f"{line.ppo.kl_to_reference:.3f}",
                f"{line.ppo.identity_error:.0e}",
                f"{line.iteration_error:.0e}",
                f"{line.seconds / 60:.1f}",
                str(line.cores),
                f"`{line.commit[:8]}`",
                line.short,
            )
        )
    return ["| " + " | ".join(row) + " |" for row in rows]


def write_down(folder: Path, setting: Setting, lines: Sequence[Line]) -> None:
    """optimum.json for programs, optimum.md for people; what was measured before and not again stays."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "optimum.json"
    before = json.loads(file.read_text("utf-8"))["lines"] if file.exists() else []
    known = {line.what: line for line in (*map(Line.read, before), *lines)}
    lines = [known[what] for what in sorted(known, key=_place)]
    record = {"part": "optimum", "setting": asdict(setting), "lines": [asdict(line) for line in lines]}
    file.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    dirty = " with uncommitted changes" if setting.dirty else ""
    versions = ", ".join(f"{name} {number}" for name, number in setting.packages.items())
    page = [
        "# Measured: optimum",
        "",
        f"Made by `make optimum`, last on {setting.date}, commit `{setting.commit[:12]}`{dirty}, in parts: "
        "each line says its commit, and how many cores it had.",
        f"{setting.cpu}, {setting.memory_gib} GiB. Python {setting.python}, {versions}.",
        "",
        "f is the share of J* − J_ref that PPO reaches; KL in nats a response; “identity” is "
        "|J* − J − β KL(π‖π*)|, “two ways” the largest difference between soft value iteration and "
        "enumeration. What is said in the last column falls short.",
        "",
        *table(lines),
    ]
    for size in dict.fromkeys(line.size for line in lines):
        options = dict.fromkeys(" ".join(line.options) for line in lines if line.size == size)
        page += ["", f"Options of the {size} one:", "", *(f"    {words}" for words in options)]
    (folder / "optimum.md").write_text("\n".join(page) + "\n", "utf-8")


def _place(what: tuple[str, str, float, int, tuple[str, ...]]) -> tuple[Any, ...]:
    """Small ones first, GAE first, the larger beta first."""
    size, estimator, beta, seed, own = what
    return (list(SPACES).index(size), ADVANTAGES.index(estimator), own, -beta, seed)


if __name__ == "__main__":
    sys.exit(main())
