"""The command line of the server: what it takes, what it refuses and how it says so."""

import socket
from pathlib import Path

import pytest
from served_models import make_policy

from rlhf import serve
from rlhf.config.serve import ServeConfig
from rlhf.errors import ConfigError
from rlhf.serving.options import parse_options


def test_options_arrive_as_typed() -> None:
    cfg = parse_options(
        ["inputs.policy=甲/乙", "inputs.policies=[a,b]", "port=0", "temperature=1", "name=007"]
    )
    assert cfg.inputs.policy == "甲/乙"
    assert cfg.inputs.policies == ("a", "b")
    assert (cfg.port, cfg.temperature, cfg.name) == (0, 1.0, "007")
    assert parse_options(["max_length=512"]).max_length == 512
    assert parse_options(["threads=null"]).threads is None
    assert parse_options(["names=runs"]).names == "runs"
    assert parse_options(["names=alpha"]).names == ("alpha",)
    assert parse_options([]) == ServeConfig()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["port=http"], "port=http"),
        (["port=70000"], "port=70000"),
        (["prot=1"], "did you mean port"),
        (["inputs.polcy=x"], "inputs.policy"),
        (["--port", "1"], "key=value"),
        (["port="], "no value"),
        (["host=0.0.0.0"], "key_env=NAME"),
        (["names=[a,a]"], "given once"),
        (["temperature=-1"], "temperature=-1"),
        (["port=1", "port.x=2"], "no group"),
        (["key_env=A-B"], "key_env=A-B"),
        (["key_env=RLHF_NO_SUCH_KEY"], "holds no key"),
        (["inputs.policy=./nowhere"], "inputs.policy=./nowhere"),
        (["runs_dir=./nowhere"], "stage=sft"),
    ],
)
def test_mistakes_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    extra = [] if any(word.startswith("port") for word in words) else ["port=0"]
    assert serve.main([*words, *extra]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert said in shown
    assert "Traceback" not in shown


def test_a_port_that_is_taken_is_known_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve.main([f"port={port}"]) == 2
    assert "port=0" in capsys.readouterr().err


def test_help_has_an_example_and_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--help"]) == 0
    page = capsys.readouterr().out
    assert "python -m rlhf.serve inputs.policy=" in page
    for name in set(ServeConfig.model_fields) - {"inputs"}:
        assert f"\n  {name}=" in page
    assert "inputs.baseline=null" in page


def test_names_come_from_content_runs_or_the_person(tmp_path: Path, policies: tuple[Path, Path]) -> None:
    from rlhf.serving.policies import find_policies

    before, after = policies
    again = make_policy(tmp_path / "elsewhere", 1)  # the same weights as before, in another folder

    def named(*words: str) -> list[str]:
        return list(find_policies(parse_options([f"inputs.policy={after}", *words])))

    opaque = named(f"inputs.baseline={before}")
    assert len(set(opaque)) == 2
    assert named(f"inputs.baseline={again}") == opaque
    assert named(f"inputs.policies=[{before}]", "names=runs") == ["after", "before"]
    assert named(f"inputs.baseline={before}", "names=[甲,乙]") == ["甲", "乙"]
    with pytest.raises(ConfigError, match="1 names for 2 policies"):
        named(f"inputs.baseline={before}", "names=甲")
    with pytest.raises(ConfigError, match="both be called"):
        named(f"inputs.baseline={after}")
