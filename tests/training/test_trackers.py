"""Trackers: TensorBoard for real, the services by stand-ins that keep what they are told."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlhf.errors import ConfigError
from rlhf.training.trackers import TrackedRun, make_trackers

CONFIG = {"seed": 1, "stage": {"learning_rate": 1e-5}}


def tracked(folder: Path, first_step: int | None = None) -> TrackedRun:
    return TrackedRun(folder / "trackers", "demo", "ppo-1", CONFIG, first_step)


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "trackers"))
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(tag)]


def test_tensorboard_shows_no_step_twice_after_a_resume(tmp_path: Path) -> None:
    (board,) = make_trackers(["tensorboard"], tracked(tmp_path))
    for step in (1, 2, 3, 4):
        board.log(step, {"loss": step / 10})
    board.close()
    (board,) = make_trackers(["tensorboard"], tracked(tmp_path, first_step=3))
    for step in (3, 4, 5):
        board.log(step, {"loss": float(step)})
    board.close()
    assert scalars(tmp_path, "loss") == [(1, 0.1), (2, 0.2), (3, 3.0), (4, 4.0), (5, 5.0)]


def test_tensorboard_shows_texts_as_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str, int]] = []
    writer = SimpleNamespace(add_text=lambda tag, text, step: told.append((tag, text, step)))
    module = SimpleNamespace(SummaryWriter=lambda **options: writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    (board,) = make_trackers(["tensorboard"], tracked(tmp_path))
    board.text(7, "samples", [{"prompt": "a|b", "response": "你\n好"}])
    assert told == [("samples", "| prompt | response |\n| --- | --- |\n| a\\|b | 你<br>好 |", 7)]


class FakeWandb(SimpleNamespace):
    """Keeps what is logged, by run; speaks as wandb does where the tracker asks it to."""

    def __init__(self) -> None:
        super().__init__(runs={}, inits=[], Table=lambda columns, data: ("table", columns, data))

    def init(self, **options: Any) -> SimpleNamespace:
        self.inits.append(options)
        name = options["id"] or f"id-{len(self.runs)}"
        rows = self.runs.setdefault(name, [])
        return SimpleNamespace(id=name, log=lambda v, step: rows.append((step, v)), finish=lambda: None)


class FakeTrackio(SimpleNamespace):
    """As trackio: module-level functions for the run begun last."""

    def __init__(self) -> None:
        super().__init__(runs={}, inits=[])

    def init(self, **options: Any) -> SimpleNamespace:
        self.inits.append(options)
        self.now = options["name"]
        self.runs.setdefault(self.now, [])
        return SimpleNamespace(name=self.now)

    def log(self, values: dict[str, float], step: int) -> None:
        self.runs[self.now].append((step, values))

    def finish(self) -> None:
        pass


class FakeMlflow(SimpleNamespace):
    """As mlflow: module-level functions for the active run."""

    def __init__(self) -> None:
        super().__init__(runs={}, inits=[], params={})

    def set_experiment(self, name: str) -> None:
        self.experiment = name

    def start_run(self, *, run_id: str | None, run_name: str | None) -> SimpleNamespace:
        self.inits.append({"id": run_id, "name": run_name})
        self.now = run_id or f"id-{len(self.runs)}"
        self.runs.setdefault(self.now, [])
        return SimpleNamespace(info=SimpleNamespace(run_id=self.now))

    def log_params(self, params: dict[str, Any]) -> None:
        self.params |= params

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.runs[self.now].append((step, values))

    def end_run(self) -> None:
        pass


@pytest.mark.parametrize(
    ("name", "fake"), [("wandb", FakeWandb), ("trackio", FakeTrackio), ("mlflow", FakeMlflow)]
)
def test_services_go_on_in_the_same_run_and_get_no_step_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fake: type
) -> None:
    module = fake()
    monkeypatch.setitem(sys.modules, name, module)
    (tracker,) = make_trackers([name], tracked(tmp_path))
    for step in (1, 2, 3):
        tracker.log(step, {"loss": step / 10})
    # the process is killed; the run goes on from the state of step 1
    (tracker,) = make_trackers([name], tracked(tmp_path, first_step=2))
    for step in (2, 3, 4):
        tracker.log(step, {"loss": step / 10})
    tracker.close()
    (rows,) = module.runs.values()
    assert rows == [(1, {"loss": 0.1}), (2, {"loss": 0.2}), (3, {"loss": 0.3}), (4, {"loss": 0.4})]
    assert len(module.inits) == 2


def test_mlflow_gets_the_configuration_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    make_trackers(["mlflow"], tracked(tmp_path))
    assert module.params == {"seed": 1, "stage.learning_rate": 1e-5}
    assert module.experiment == "demo"


@pytest.mark.parametrize("name", ["wandb", "trackio", "mlflow"])
def test_an_absent_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf'pip install "rlhf\[{name}\]"'):
        make_trackers(["tensorboard", name], tracked(tmp_path))
    assert not (tmp_path / "trackers").exists()  # said before anything begins


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="trackers='tensorbord' is unknown; choose from tensorboard, wandb"):
        make_trackers(["tensorbord"], tracked(tmp_path))


def test_importing_the_module_imports_no_tracker() -> None:
    module = importlib.import_module("rlhf.training.trackers")
    assert not {"SummaryWriter", "wandb", "trackio", "mlflow"} & set(vars(module))
