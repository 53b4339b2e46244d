"""Policy, reference, critic and reward: adapters on one trunk give what separate models give."""

from pathlib import Path

import pytest
import torch
from peft import TaskType
from peft.tuners.tuners_utils import BaseTunerLayer
from role_models import LORA, PAD, batch, rows, save_policy, save_reward_adapter, scramble_adapter
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from rlhf.config import ModelConfig
from rlhf.data.collation import Batch
from rlhf.errors import ModelError
from rlhf.models.adapters import LoraSwitch
from rlhf.models.loading import (
    adapter_base_sha256,
    load_policy,
    merged,
    save_adapter,
    save_plain,
    weights_sha256,
    with_adapter,
)
from rlhf.models.policy_value import policy_outputs
from rlhf.models.reward_model import load_reward_model, sequence_scores, token_scores
from rlhf.models.roles import Roles, RoleSources, build_roles

TEMPERATURE = 0.7
FULL = ModelConfig(adapter="none")


@pytest.fixture(params=["llama", "gpt2"])
def sources(request: pytest.FixtureRequest, tmp_path: Path) -> RoleSources:
    """A policy and a reward model trained with LoRA on it."""
    policy = save_policy(tmp_path / "policy", request.param)
    reward = save_reward_adapter(policy, tmp_path / "reward")
    return RoleSources(
        policy=str(policy),
        reference=str(policy),
        reward_model=str(reward / "model"),
        critic=str(reward / "model"),
        reward_adapter=reward / "adapter",
    )


def roles_of(sources: RoleSources, cfg: ModelConfig = LORA) -> Roles:
    return build_roles(sources, cfg, temperature=TEMPERATURE, device=torch.device("cpu"), seed=4)


def separate(sources: RoleSources) -> RoleSources:
    return RoleSources(sources.policy, sources.reference, sources.reward_model, sources.critic, None)


def assert_close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@torch.no_grad()
def scores(roles: Roles, shown: Batch) -> Tensor:
    assert roles.reward_model is not None
    return roles.score(roles.reward_model, shown.ids_BS, shown.attention_BS)


@torch.no_grad()
def test_one_trunk_gives_what_separate_models_give(sources: RoleSources, tmp_path: Path) -> None:
    shared, shown = roles_of(sources), batch(rows())
    assert shared.form == "shared"
    scramble_adapter(shared.policy_value.policy, seed=8)
    with shared.policy_active():
        merged(shared.policy_value.policy).save_pretrained(tmp_path / "merged")

    policy = load_policy(str(tmp_path / "merged"))
    reference = load_policy(sources.reference)
    reward = load_reward_model(str(sources.reward_model))
    out = shared.policy_value(shown)
    logprobs_N, entropy_N = policy_outputs(policy, shown, TEMPERATURE)
    assert_close(out.logprobs_N, logprobs_N)
    assert_close(out.entropy_N, entropy_N)
    ref_logprobs_N, _ = policy_outputs(reference, shown, TEMPERATURE)
    assert_close(shared.reference_logprobs(shown), ref_logprobs_N)
    assert_close(scores(shared, shown), sequence_scores(reward, shown.ids_BS, shown.attention_BS))
    assert_close(out.values_N, shown.before_response(token_scores(reward, shown.ids_BS, shown.attention_BS)))
    assert float((logprobs_N - ref_logprobs_N).abs().max()) > 0.01


@pytest.mark.parametrize("form", ["shared", "separate, lora", "separate, full"])
@torch.no_grad()
def test_at_the_start_policy_is_reference_and_critic_is_reward_model(sources: RoleSources, form: str) -> None:
    cfg = FULL if form.endswith("full") else LORA
    roles = roles_of(sources if form == "shared" else separate(sources), cfg)
    shown = batch(rows())
    out = roles.policy_value(shown)
    assert_close(out.logprobs_N, roles.reference_logprobs(shown))
    reward = load_reward_model(str(sources.reward_model))
    token_BS = token_scores(reward, shown.ids_BS, shown.attention_BS)
    assert_close(out.values_N, shown.before_response(token_BS))
    assert_close(scores(roles, shown), sequence_scores(reward, shown.ids_BS, shown.attention_BS))
    assert float(reward.config.reward_shift) == 0.4
    last_B = shown.attention_BS.sum(1) - 1
    assert_close(scores(roles, shown), token_BS[torch.arange(len(last_B)), last_B])


@pytest.mark.parametrize("architecture", ["qwen2", "llama"], ids=["tied", "untied"])
def test_a_reference_in_bf16_is_the_one_that_autocast_makes_of_it(architecture: str, tmp_path: Path) -> None:
    policy = save_policy(tmp_path / "policy", architecture)
    sources = RoleSources(str(policy), str(policy), None, None, None)
    shown = batch(rows())
    found, bytes_held = dict[torch.dtype, Tensor](), dict[torch.dtype, int]()
    for dtype in (torch.float32, torch.bfloat16):
        cpu = torch.device("cpu")
        roles = build_roles(sources, ModelConfig(), temperature=TEMPERATURE, device=cpu, seed=4, dtype=dtype)
        assert roles.reference_model is not None
        with torch.autocast("cpu", torch.bfloat16):
            found[dtype] = roles.reference_logprobs(shown)
            own = policy_outputs(roles.policy_value.language_model, shown, TEMPERATURE)[0]
        assert torch.equal(found[dtype], own)  # so the KL begins at 0
        bytes_held[dtype] = sum(x.numel() * x.element_size() for x in roles.reference_model.parameters())
    assert torch.equal(found[torch.float32], found[torch.bfloat16])
    assert bytes_held[torch.bfloat16] < 0.7 * bytes_held[torch.float32]


def test_a_critic_without_a_reward_model_begins_at_zero(sources: RoleSources) -> None:
    alone = RoleSources(sources.policy, sources.reference, None, None)
    for cfg in (FULL, LORA):
        roles = roles_of(alone, cfg)
        assert roles.reward_model is None
        assert roles.policy_value(batch(rows())).values_N.tolist() == [0.0] * batch(rows()).targets_N.numel()


def steps(roles: Roles, shown: Batch, count: int = 3) -> None:
    trained = [value for value in roles.policy_value.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    for _ in range(count):
        optimizer.zero_grad()
        out = roles.policy_value(shown)
        (out.logprobs_N.mean() + (out.values_N**2).mean()).backward()
        optimizer.step()


@pytest.mark.parametrize("form", ["shared", "separate, lora", "separate, full"])
def test_an_update_changes_policy_and_critic_alone(sources: RoleSources, form: str) -> None:
    cfg = FULL if form.endswith("full") else LORA
    roles = roles_of(sources if form == "shared" else separate(sources), cfg)
    shown = batch(rows())
    module = roles.policy_value
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    reference_N, scores_B = roles.reference_logprobs(shown), scores(roles, shown)
    steps(roles, shown)
    changed = {name for name, value in module.named_parameters() if not torch.equal(value, before[name])}
    if form == "shared":
        expected = {n for n in before if "lora_" in n and (".default." in n or ".critic." in n)}
        assert any(".reward." in name for name in before)
    elif form == "separate, lora":
        expected = {name for name in before if "lora_" in name}
    else:
        expected = set(before)
    assert changed == expected | {"value_head.weight"}
    assert torch.equal(roles.reference_logprobs(shown), reference_N)
    assert torch.equal(scores(roles, shown), scores_B)


def test_what_is_published_is_plain_merged_and_the_policy(sources: RoleSources, tmp_path: Path) -> None:
    from rlhf.demo.tokenizer import tokenizer

    roles, shown = roles_of(sources), batch(rows())
    steps(roles, shown)
    with roles.policy_active():
        save_plain(roles.policy_value.policy, tokenizer(), tmp_path / "model", stop_ids=frozenset({1, 5}))
        save_adapter(roles.policy_value.policy, tmp_path / "adapter", base="b", base_sha256="abc")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert not any("lora" in name for name, _ in plain.named_parameters())
    assert plain.generation_config.eos_token_id == [1, 5]
    with torch.no_grad():
        assert_close(policy_outputs(plain, shown, TEMPERATURE)[0], roles.policy_value(shown).logprobs_N)
        # saving merged a copy: what is trained is still an adapter
        assert_close(roles.reference_logprobs(shown), policy_outputs(load(sources), shown, TEMPERATURE)[0])
    assert adapter_base_sha256(tmp_path / "adapter") == "abc"
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir() if path.is_dir()) == []


def load(sources: RoleSources) -> PreTrainedModel:
    return load_policy(sources.policy)


def test_a_reward_adapter_without_a_head_is_refused(sources: RoleSources, tmp_path: Path) -> None:
    adapter = tmp_path / "headless"
    headless = with_adapter(load(sources), LORA, TaskType.CAUSAL_LM, seed=1)
    save_adapter(headless, adapter, base=sources.policy, base_sha256=weights_sha256(Path(sources.policy)))
    broken = RoleSources(sources.policy, sources.reference, sources.reward_model, None, adapter)
    with pytest.raises(ModelError, match=r"holds no score head; set stage\.roles=separate"):
        roles_of(broken)


def test_an_adapter_on_the_output_layer_is_refused(tmp_path: Path) -> None:
    policy = str(save_policy(tmp_path / "policy"))
    cfg = ModelConfig(adapter="lora", lora_targets="q_proj,lm_head")
    with pytest.raises(ModelError, match=r"model\.lora_targets=q_proj,lm_head: PPO trains no adapter"):
        roles_of(RoleSources(policy, policy, None, None), cfg)


def state_of(roles: Roles) -> list[object]:
    module = roles.policy_value
    layers = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    assert layers
    return [
        *((tuple(layer.active_adapters), layer.disable_adapters) for layer in layers),
        *(value.requires_grad for value in module.parameters()),
    ]


def test_a_switch_nests_and_leaves_all_as_it_was(sources: RoleSources) -> None:
    roles, shown = roles_of(sources), batch(rows())
    scramble_adapter(roles.policy_value.policy, seed=8)
    adapters, model = roles.adapters, roles.policy_value.language_model

    def now() -> Tensor:
        with torch.no_grad():
            return policy_outputs(model, shown, TEMPERATURE)[0]

    start = state_of(roles)
    trainable = [value.requires_grad for value in roles.policy_value.parameters()]
    with adapters("policy"):
        policy_N = now()
        with adapters("reward"):
            reward_N = now()
            assert [value.requires_grad for value in roles.policy_value.parameters()] == trainable
            with adapters(None):
                reference_N = now()
            assert torch.equal(now(), reward_N)
        assert torch.equal(now(), policy_N)
        with adapters("nobody"):  # a role that is another model's leaves the adapters alone
            assert torch.equal(now(), policy_N)
    assert len({tuple(x.tolist()) for x in (policy_N, reward_N, reference_N)}) == 3
    assert state_of(roles) == start


def test_a_switch_survives_an_exception(sources: RoleSources) -> None:
    roles = roles_of(sources)
    start = state_of(roles)

    def fail() -> None:
        with roles.adapters("critic"), roles.adapters(None):
            raise KeyError("inside")

    with pytest.raises(KeyError):
        fail()
    assert state_of(roles) == start


def test_switching_between_forward_and_backward_keeps_the_gradient(sources: RoleSources) -> None:
    roles, shown = roles_of(sources), batch(rows())
    switch = roles.adapters
    assert isinstance(switch, LoraSwitch)
    roles.policy_value(shown).logprobs_N.sum().backward()
    expected = {n: v.grad.clone() for n, v in roles.policy_value.named_parameters() if v.grad is not None}
    assert any(".default." in name for name in expected)
    roles.policy_value.zero_grad()
    out = roles.policy_value(shown)
    with switch("reward"):
        out.logprobs_N.sum().backward()
    for name, value in roles.policy_value.named_parameters():
        if value.grad is not None and name in expected:
            torch.testing.assert_close(value.grad, expected[name], msg=name)


def test_the_reward_reads_the_last_real_token(sources: RoleSources) -> None:
    reward, encoded = load_reward_model(str(sources.reward_model)), rows()
    together = batch(encoded)
    with torch.no_grad():
        scores_B = sequence_scores(reward, together.ids_BS, together.attention_BS)
        for row, score in zip(encoded, scores_B, strict=True):
            ids = torch.tensor([[*row.ids, PAD, PAD]])
            mask = torch.tensor([[1] * len(row.ids) + [0, 0]])
            assert_close(sequence_scores(reward, ids, mask)[0], score)
            hidden_D = reward.base_model(input_ids=torch.tensor([row.ids]))[0][0, -1]
            assert_close((hidden_D * reward.score.weight[0]).sum() - 0.4, score)
