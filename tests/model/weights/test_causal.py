"""Decoders of others: the same logits as in transformers, our tokens in their vocabulary, every tensor accounted for."""

import json
import re

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from model.config.fields import build, to_plain
from model.config.stages import DecoderConfig
from model.data.tokenizer import SPECIALS
from model.network.language import decoder
from model.weights.__main__ import main
from model.weights.causal import import_decoder
from tests.support.small_models import SMALL_TEXT, bytewise, changed, edited, saved, stirred

IDS = torch.tensor([[5, 70, 8, 200, 33]])


@pytest.mark.parametrize("name", ["llama", "qwen"])
def test_logits_are_those_of_transformers(name, request, tmp_path):
    theirs = request.getfixturevalue(name)
    imported = import_decoder(saved(theirs, tmp_path, bytewise()))
    torch.testing.assert_close(imported.decoder(IDS).logits[..., :256], theirs(IDS).logits[..., :256])
    assert imported.config.tied == (name == "qwen")
    assert imported.config.plain_head


def test_decoder_is_built_again_from_its_configuration_alone(llama, tmp_path):
    imported = import_decoder(saved(llama, tmp_path, bytewise()))
    config = build(DecoderConfig, json.loads(json.dumps(to_plain(imported.config))), "decoder")
    again = decoder(config)
    assert config == imported.config
    assert isinstance(again, LlamaForCausalLM)
    again.load_state_dict(imported.decoder.state_dict())
    torch.testing.assert_close(again(IDS).logits, imported.decoder(IDS).logits)


def test_numbers_of_a_plan_are_read_from_the_configuration(llama, tmp_path):
    config = import_decoder(saved(llama, tmp_path, bytewise())).config
    assert (config.width, config.layers, config.heads, config.kv_heads, config.mlp_width, config.context) == (32, 2, 4, 2, 48, 256)
    assert (config.experts, config.head) == (0, 8)


def test_experts_are_read_from_the_configuration(tmp_path):
    model = stirred(MixtralForCausalLM(MixtralConfig(**SMALL_TEXT, num_local_experts=4, num_experts_per_tok=2)))
    config = import_decoder(saved(model, tmp_path, bytewise())).config
    assert (config.experts, config.experts_per_token, config.moe_every) == (4, 2, 1)


def test_a_decoder_of_another_layout_is_read(tmp_path):
    shape = GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=0)
    model = stirred(GPT2LMHeadModel(shape))
    imported = import_decoder(saved(model, tmp_path, bytewise()))
    torch.testing.assert_close(imported.decoder(IDS).logits[..., :256], model(IDS).logits[..., :256])
    assert (imported.config.tied, imported.config.mlp_width, imported.config.plain_head) == (True, 128, True)


def test_a_head_that_caps_its_logits_is_noticed(tmp_path):
    model = stirred(Gemma2ForCausalLM(Gemma2Config(**SMALL_TEXT, head_dim=8, final_logit_softcapping=0.5)))
    assert not import_decoder(saved(model, tmp_path, bytewise())).config.plain_head


def test_vocabulary_gains_what_the_tokenizer_lacks(llama, tmp_path):
    imported = import_decoder(saved(llama, tmp_path, bytewise()))
    assert set(imported.added) == {*SPECIALS} - {"<eos>"}
    assert imported.tokenizer.eos_token == "<|end|>"
    assert imported.tokenizer.encode("a<image>", add_special_tokens=False)[-1] != imported.tokenizer.convert_tokens_to_ids("<image>")


def test_new_rows_are_the_mean_of_the_old_in_both_tables(llama, tmp_path):
    llama.resize_token_embeddings(257, mean_resizing=False)
    imported = import_decoder(saved(llama, tmp_path, bytewise()))
    image = imported.tokenizer.convert_tokens_to_ids("<image>")
    assert imported.config.vocabulary == 257 + len(imported.added) > image >= 257
    inputs = imported.decoder.get_input_embeddings(), llama.get_input_embeddings()
    for ours, theirs in (inputs, (imported.decoder.lm_head, llama.lm_head)):
        torch.testing.assert_close(ours.weight[image], theirs.weight.mean(0))
        torch.testing.assert_close(ours.weight[:257], theirs.weight)


def test_spare_rows_are_used_before_the_tables_grow(llama, tmp_path):
    assert import_decoder(saved(llama, tmp_path, bytewise())).config.vocabulary == 300


def misshapen(tensors):
    tensors["model.layers.1.mlp.up_proj.weight"] = torch.zeros(40, 32)


@pytest.mark.parametrize(("change", "says"), [
    (lambda tensors: tensors.pop("model.layers.0.self_attn.q_proj.weight"), "model.layers.0.self_attn.q_proj.weight is missing"),
    (lambda tensors: tensors.update({"model.layers.9.strange": torch.zeros(1)}), "model.layers.9.strange is unknown"),
    (misshapen, "model.layers.1.mlp.up_proj.weight is (40, 32), the model has (48, 32)"),
])
def test_a_tensor_that_does_not_fit_is_named(llama, tmp_path, change, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        import_decoder(changed(saved(llama, tmp_path, bytewise()), change))


def test_an_architecture_with_code_of_its_own_is_refused(llama, tmp_path):
    saved(llama, tmp_path, bytewise())
    (tmp_path / "mine.py").write_text("raise SystemExit('this code was run')")
    edited(tmp_path / "config.json", model_type="mine", auto_map={"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"})
    with pytest.raises(ValueError, match="model_type 'mine' cannot be loaded"):
        import_decoder(tmp_path)


def test_pickled_weights_are_refused(llama, tmp_path):
    saved(llama, tmp_path, bytewise())
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="weights as safetensors"):
        import_decoder(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(llama, tmp_path):
    with pytest.raises(ValueError, match="no tokenizer"):
        import_decoder(saved(llama, tmp_path))


def test_a_tokenizer_larger_than_the_table_is_refused(llama, tmp_path):
    llama.resize_token_embeddings(200, mean_resizing=False)
    with pytest.raises(ValueError, match="tokens beyond the 200 rows of the weights"):
        import_decoder(saved(llama, tmp_path, bytewise()))


def not_finite(tensors):
    tensors["model.norm.weight"][3] = float("nan")


def test_weights_that_are_not_finite_are_refused(llama, tmp_path):
    with pytest.raises(ValueError, match=r"model\.norm\.weight holds numbers that are not finite"):
        import_decoder(changed(saved(llama, tmp_path, bytewise()), not_finite))


def test_a_family_without_attention_is_refused_in_words(tmp_path):
    small = MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=300, state_size=4)
    with pytest.raises(ValueError, match="MambaForCausalLM lacks an entry that plans need"):
        import_decoder(saved(MambaForCausalLM(small), tmp_path, bytewise()))


def lfs(folder):
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def quantised(folder):
    edited(folder / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})


@pytest.mark.parametrize(("harm", "says"), [(lfs, "a pointer of Git LFS"), (cut, "damaged or missing"),
                                            (quantised, "quantised weights .gptq.")])
@pytest.mark.parametrize("half", ["--decoder", "--vision"])
def test_weights_that_are_none_end_with_two_and_few_words(llama, clip, tmp_path, capsys, half, harm, says):
    folder = saved(llama if half == "--decoder" else clip, tmp_path / "theirs", bytewise())
    harm(folder)
    capsys.readouterr()  # what saving wrote
    assert main([half, str(folder), "--preset", "tiny", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert re.search(says, error)
    assert len(error.strip().splitlines()) <= 2
