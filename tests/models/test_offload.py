"""Frozen models away from the device: where their weights are, how often they travel, what they say."""

import pytest
import torch
from role_models import CONFIGS, batch, language_model, rows
from second_device import SecondDevice

from rlhf.errors import ConfigError
from rlhf.models.offload import Visits, freeze, offloads
from rlhf.models.policy_value import policy_outputs

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("architecture", ["llama", "qwen2"], ids=["untied", "tied"])
def test_weights_are_on_the_device_while_they_are_used_and_only_then(architecture: str) -> None:
    model = language_model(CONFIGS[architecture]).requires_grad_(False)
    expected = policy_outputs(model, batch(rows()), 0.7)[0]
    size = sum(weight.nbytes for weight in model.parameters())
    device = SecondDevice()
    visits = Visits(model, CPU, bring=device.bring)
    device.watch([model])
    assert device.bytes_there == 0
    for visit in (1, 2):
        with visits():
            assert device.bytes_there == size
            assert torch.equal(policy_outputs(model, batch(rows()), 0.7)[0], expected)
        assert device.bytes_there == 0
        assert len(device.brought) == visit * len(list(model.parameters()))
    assert device.most_bytes == size
    assert torch.equal(policy_outputs(model, batch(rows()), 0.7)[0], expected)  # nothing was lost


def test_a_visit_inside_of_a_visit_brings_nothing_anew() -> None:
    model, device = language_model(CONFIGS["llama"]), SecondDevice()
    visits = Visits(model, CPU, bring=device.bring)
    device.watch([model])
    with visits():
        with visits():
            pass
        assert device.bytes_there == sum(weight.nbytes for weight in model.parameters())
    assert len(device.brought) == len(list(model.parameters()))
    assert device.bytes_there == 0


def test_an_error_ends_the_visit() -> None:
    model, device = language_model(CONFIGS["llama"]), SecondDevice()
    visits = Visits(model, CPU, bring=device.bring)
    device.watch([model])
    with pytest.raises(MemoryError), visits():
        raise MemoryError
    assert device.bytes_there == 0


@pytest.mark.parametrize("offload", [True, False])
def test_what_is_frozen_learns_nothing(offload: bool) -> None:
    model = language_model(CONFIGS["llama"]).train()
    with freeze(model, CPU, offload=offload)():
        assert not any(weight.requires_grad for weight in model.parameters())
        assert not model.training


def test_the_choice() -> None:
    assert offloads("auto", GPU)
    assert offloads(True, GPU)
    assert not offloads(False, GPU)
    assert not offloads("auto", CPU)
    assert not offloads(False, CPU)
    with pytest.raises(ConfigError, match=r"^stage.offload_frozen=true: on a CPU .*offload_frozen=auto$"):
        offloads(True, CPU)
