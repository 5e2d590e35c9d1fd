"""Every causal family of the installed transformers as a small random model, found by asking transformers."""

from __future__ import annotations

from typing import Any

import torch
from llm_samples import WORDS
from transformers import AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

WINDOW = 6
"""Width of windows and chunks: shorter than most rows of the tests."""

LAYERS = 4

_SIZES: tuple[tuple[int, str], ...] = (
    (
        WORDS,
        "vocab_size vocab_size_per_layer_input moe_vocab_size unpadded_vocab_size "
        "pronunciation_vocab_size shape_vocab_size encoder_hash_byte_group_vocab",
    ),
    (
        128,
        "max_position_embeddings n_positions max_seq_len seq_length "
        "original_max_position_embeddings position_bias_max_distance image_size mem_len",
    ),
    (
        32,
        "hidden_size d_model n_embd model_dim embedding_size dim embed_dim emb_dim mamba_d_ssm "
        "input_embedding_size output_embedding_size",
    ),
    (
        48,
        "decoder_ffn_dim encoder_ffn_dim ffn_dim n_inner dff dim_ff d_inner",
    ),
    (
        24,
        "intermediate_size moe_intermediate_size shared_expert_intermediate_size ffn_hidden_size "
        "expert_ffn_hidden_size dense_intermediate_size shared_intermediate_size "
        "moe_shared_expert_intermediate_size",
    ),
    (
        16,
        "position_bias_num_buckets rel_extent",
    ),
    (
        LAYERS,
        "num_hidden_layers n_layer num_layers n_layers decoder_layers num_attention_heads n_head "
        "n_heads num_heads decoder_attention_heads encoder_attention_heads "
        "num_decoder_attention_heads num_experts num_local_experts n_routed_experts moe_num_experts "
        "mamba_num_heads index_n_heads swa_num_attention_heads linear_num_value_heads "
        "linear_num_key_heads zero_expert_num conv_kernel mamba_n_heads encoder_layers "
        "num_encoder_layers num_decoder_layers",
    ),
    (
        2,
        "depth num_key_value_heads num_kv_heads multi_query_group_num num_experts_per_tok "
        "num_experts_per_token moe_k moe_topk top_k_experts swa_num_key_value_heads",
    ),
    (
        8,
        "head_dim attention_head_dim global_head_dim kv_channels kv_lora_rank q_lora_rank "
        "o_lora_rank v_head_dim qk_nope_head_dim qk_rope_head_dim index_head_dim dim_head "
        "swa_head_dim ssm_state_size linear_key_head_dim linear_value_head_dim "
        "pronunciation_embed_dim shape_embed_dim hidden_size_per_layer_input mamba_d_state "
        "dim_model_base mamba_d_head",
    ),
    (
        WINDOW,
        "sliding_window attention_chunk_size window_size attention_window_size local_attention "
        "sliding_window_size local_attention_window_len index_topk",
    ),
    (
        4,
        "mamba_chunk_size chunk_size index_block_size",
    ),
    (
        1,
        "n_group topk_group n_groups",
    ),
    (
        0,
        "pad_token_id",
    ),
)
SMALL: dict[str, Any] = {
    **{name: size for size, names in _SIZES for name in names.split()},
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "is_decoder": True,
    "default_language": "en_XX",
    "use_sliding_window": True,
    "max_window_layers": 2,
    "attn_layer_offset": 1,
    "attn_layer_period": 2,
    "rotary_dim": 4,
    "mlstm_round_up_to_multiple_of": 8,
    "ffn_round_up_to_multiple_of": 8,
    "n_shared_experts": 1,
    "attention_types": [[["global", "local"], 2]],
    "attention_layers": ["global", "local"] * 2,
    "initializer_range": 0.3,
}

VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"mamba_n_heads": 8},
    {"mamba_n_heads": 8, "attn_layer_indices": [1]},
    {"num_key_value_heads": 4},
    {"num_experts_per_tok": 1},
    {"num_heads": 8},
    {"num_kv_shared_layers": 0},
    {"num_kv_shared_layers": 0, "hidden_size_per_layer_input": 0},
    {"hidden_size": 128},
    {"axial_pos_embds": False},
    {"layer_types": ["conv", "full_attention"] * 2},
    {"layer_types": ["mamba", "attention"] * 2, "mamba_n_heads": 8},
    {"layer_types": ["sliding_attention", "full_attention"] * 2},
    {"layer_types": ["linear_attention", "full_attention"] * 2},
    {"layer_types": ["linear_attention", "full_attention"] * 2, "num_key_value_heads": 4},
    {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    {"num_hidden_layers": 12, "n_mamba_heads": 2},
)
"""Some families want sizes that fit each other; the first that can be built is taken."""


def families() -> list[str]:
    """Names of all causal families, one of those that share a model's class."""
    by_class = {
        name: family for family, name in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items(), reverse=True)
    }
    return sorted(by_class.values())


def small_config(kind: type[PreTrainedConfig], changes: dict[str, Any]) -> PreTrainedConfig:
    """A configuration of little models of a kind, and of the parts that it is made of."""
    default = kind()
    values = {name: value for name, value in {**SMALL, **changes}.items() if name in vars(default)}
    for name, value in vars(default).items():
        if isinstance(value, PreTrainedConfig):
            values[name] = small_config(type(value), changes)
    try:
        return kind(**values)
    except ValueError:  # the default names its layers one by one
        if "layer_types" not in vars(default) or "layer_types" in values:
            raise
        return kind(**values, layer_types=default.layer_types[:LAYERS])


LARGEST = 3_000_000
"""Number of parameters of the largest model that counts as small."""


def small_model(family: str, changes: dict[str, Any] | None = None) -> Any:
    """A random model of a family: float32, frozen, weights large enough for probabilities to differ.

    Args:
        family: Name of the family.
        changes: Values of its configuration, in place of the first of :data:`VARIANTS` that can be built.

    Returns:
        The model, or the reason why there is none.
    """
    reasons: list[str] = []
    for variant in [changes] if changes else VARIANTS:
        try:
            config = small_config(CONFIG_MAPPING[family], variant)
            with torch.device("meta"):
                size = AutoModelForCausalLM.from_config(config).num_parameters()
            if size > LARGEST:
                reasons.append(f"{size:,} parameters")
                continue
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
            with torch.no_grad():
                logits = model(input_ids=torch.arange(3, 23)[None]).logits
            if logits.shape[:2] != (1, 20) or not logits.isfinite().all():
                reasons.append("logits of another shape, or not finite")
                continue
        except Exception as error:  # noqa: BLE001  # configurations reject sizes in all kinds of ways
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        return model.requires_grad_(False)
    return reasons[0]
