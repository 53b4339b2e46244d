"""Faults planted in the shipped configurations and in what reads them are reported."""

import shutil
from pathlib import Path

import pytest

from scripts import check_configs
from scripts.check_configs import ROOT, combinations
from scripts.check_fields import unread_fields


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of configs/, of which only one composition is tried."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    few = ["stage=ppo", "preset=smoke"], ["stage=ppo", "reward=custom"]
    monkeypatch.setattr(check_configs, "combinations", lambda options: iter(few))
    return tmp_path


def test_every_option_is_tried_with_every_stage():
    options = {"stage": ("sft", "ppo"), "kl": ("fixed", "adaptive"), "preset": ("smoke",)}
    tried = [" ".join(overrides) for overrides in combinations(options)]
    assert tried == [
        "stage=sft kl=fixed",
        "stage=sft kl=adaptive",
        "stage=sft preset=smoke",
        "stage=ppo kl=fixed",
        "stage=ppo kl=adaptive",
        "stage=ppo preset=smoke",
    ]


def test_what_ships_passes(root: Path):
    assert check_configs.main(root) == 0


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("stage/ppo.yaml", "kind: ppo\nepoch: 3\n", "stage.epoch=3"),
        ("stage/ppo.yaml", "kind: ppo\nminibatch_size: 48\n", "does not divide"),
        ("preset/ppo/smoke.yaml", "gamma: 7\n", "stage.gamma=7"),
        ("reward/custom.yaml", "kind: custom\npath: a:b\n", "should ask for reward.path, says: nothing"),
        ("kl/fast.yaml", "kind: fixed\nbeta: 1\n", ""),
        ("preset/ppo/quick.yaml", "epochs: 1\n", "configs/preset/ppo/quick.yaml: no option takes it in"),
        ("kl/fixed.yaml", "kind: [fixed\n", "stage=ppo preset=smoke: "),
    ],
)
def test_a_planted_fault_is_reported(
    root: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, says: str
):
    (root / "configs" / file).write_text(text)
    found = check_configs.main(root)
    if says:
        assert found == 1
        assert says in capsys.readouterr().out
    else:  # a new option: tried because it is there
        options = check_configs.groups(root / "configs")
        assert ["stage=ppo", "kl=fast"] in list(combinations(options))


def test_a_field_that_nothing_reads_is_reported():
    files = [p for folder in ("rlhf", "stages") for p in (ROOT / folder).rglob("*.py")]
    code = {str(p): p.read_text() for p in files if "rlhf/config/" not in p.as_posix()}
    assert unread_fields(code) == []
    without = {name: text.replace(".missing_end_score", ".nothing") for name, text in code.items()}
    assert unread_fields(without) == ["PpoStage.missing_end_score"]


READS = {
    "def f(cfg: Config):\n    return cfg.kl.target\n": True,
    "def f(here: Session):\n    return here.cfg.kl.target\nclass Session:\n    cfg: Config\n": True,
    "def f(cfg: Config):\n    kl = cfg.kl\n    return lambda: kl.target\n": True,
    "def f(kl: 'KlConfig'):\n    return kl.target\n": True,
    "def k(cfg) -> KlConfig: ...\ndef f(cfg: Config):\n    return k(cfg).target\n": True,
    "class C:\n    def __init__(self, kl: KlConfig):\n        self._k = kl\n"
    "    def f(self):\n        return self._k.target\n": True,
    "def f(row):\n    return row.target\n": False,
    "def f(cfg: ModelConfig):\n    return cfg.target\n": False,
    "def f(cfg: Config):\n    cfg.kl.target = 3\n": False,
    "def f(cfg: Config):\n    return 'cfg.kl.target'\n": False,
}


@pytest.mark.parametrize("text", READS)
def test_only_a_read_of_the_section_counts(text: str):
    assert ("KlConfig.target" not in unread_fields({"x.py": text})) is READS[text]


def test_isinstance_tells_the_stages_apart():
    text = "def f(cfg: Config):\n    assert isinstance(cfg.stage, PpoStage)\n    return cfg.stage.epochs\n"
    unread = unread_fields({"x.py": text})
    assert "PpoStage.epochs" not in unread
    assert "SftStage.epochs" in unread
