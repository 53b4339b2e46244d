"""A hub id without a network: the error comes within seconds, and what is cached is still found."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from rlhf.data import hub
from rlhf.data.sources import read_rows
from rlhf.errors import DataError, ModelError
from rlhf.models.loading import load_policy, load_tokenizer


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A hub at a port where nobody listens, and an empty cache; its client may not pause to try again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("the hub's client waits to try again"))
        hub.reachable.cache_clear()
        yield
    hub.reachable.cache_clear()


@pytest.mark.usefixtures("no_network")
class TestWithoutANetwork:
    def test_models_and_tokenizers_fail_at_once(self) -> None:
        with pytest.raises(ModelError, match="nobody/nothing: no tokenizer"):
            load_tokenizer("nobody/nothing")
        with pytest.raises(ModelError, match=r"nobody/nothing: no config\.json"):
            load_policy("nobody/nothing")

    def test_datasets_fail_at_once(self) -> None:
        with pytest.raises(DataError, match="Without a network: fetch it elsewhere"):
            read_rows("nobody/nothing")

    def test_the_hub_is_asked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert not hub.reachable()
        monkeypatch.setattr("httpx2.head", lambda *_, **__: pytest.fail("asked again"))
        assert not hub.reachable()

    def test_a_folder_needs_no_hub(self, tmp_path: Path) -> None:
        hub.mind_the_network(str(tmp_path))
        assert not constants.is_offline_mode()
        hub.mind_the_network("nobody/nothing")
        assert constants.is_offline_mode()
        assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_with_a_network_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("httpx2.head", lambda address, timeout: address)
    hub.reachable.cache_clear()
    hub.mind_the_network("nobody/nothing")
    assert not constants.is_offline_mode()
    hub.reachable.cache_clear()
