"""Small stand-ins for what the hub holds: preference datasets with the columns of real ones, and a tiny base model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

TOPICS = ("rivers", "bread", "clouds", "trains", "honey", "maps", "tides", "bridges", "seeds", "violins")


def says(role: str, content: str) -> dict[str, str]:
    """A message."""
    return {"role": role, "content": content}


def dpo_mix_rows(count: int = 20) -> list[Row]:
    """Rows with the columns of argilla/dpo-mix-7k; every fifth has a system message. All are usable."""
    rows = []
    for row in range(count):
        prompt = [says("user", f"Question {row}: tell me about {TOPICS[row % len(TOPICS)]}.")]
        if row % 5 == 0:
            prompt.insert(0, says("system", "You are a patient teacher."))
        rows.append(
            {
                "dataset": "argilla/ultrafeedback-binarized-preferences-cleaned",
                "chosen": [
                    *prompt,
                    says("assistant", f"Gladly: {TOPICS[row % len(TOPICS)]} are worth a look."),
                ],
                "rejected": [*prompt, says("assistant", f"No, number {row}.")],
                "chosen_rating": 5.0,
                "rejected_rating": 1.0,
            }
        )
    return rows


def capybara_rows(count: int = 20) -> list[Row]:
    """Rows with the columns of argilla/distilabel-capybara-dpo-7k-binarized: one to three turns. All are usable."""
    rows = []
    for row in range(count):
        topic = TOPICS[row % len(TOPICS)]
        turns = []
        for turn in range(row % 3):
            turns += [says("user", f"Turn {turn} of {row} on {topic}?"), says("assistant", f"Yes, {topic}.")]
        prompt = [*turns, says("user", f"And what follows for {topic}, number {row}?")]
        rows.append(
            {
                "source": "Airoboros",
                "conversation": [{"input": f"What of {topic}?", "output": "Much."}],
                "original_response": "Much.",
                "generation_prompt": [json.dumps(prompt)],
                "raw_generation_responses": ["A little.", "Much."],
                "new_generations": ["A little."],
                "prompt": prompt[-1]["content"],
                "chosen": [*prompt, says("assistant", f"A lot follows for {topic}.")],
                "rejected": [*prompt, says("assistant", "Nothing.")],
                "rating_chosen": 5,
                "rating_rejected": 2,
                "chosen_model": "one",
                "rejected_model": "two",
            }
        )
    return rows


def write_jsonl(path: Path, rows: Iterable[Row]) -> Path:
    """Writes rows as JSON lines, and returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, rows: list[Row]) -> Path:
    """Writes rows as parquet, and returns the path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def dpo_mix(folder: Path, train: int = 20, test: int = 5) -> Path:
    """Writes a folder laid out as a copy of argilla/dpo-mix-7k: parquet files of each split, and its card."""
    rows = dpo_mix_rows(train + test)
    splits = "".join(f"  - split: {name}\n    path: data/{name}-*\n" for name in ("train", "test"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{splits}---\n")
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", rows[:train])
    write_parquet(folder / "data" / "test-00000-of-00001.parquet", rows[train:])
    return folder


def capybara(folder: Path, train: int = 20) -> Path:
    """Writes a folder with a parquet file as in argilla/distilabel-capybara-dpo-7k-binarized: no test split."""
    write_parquet(folder / "data" / "train-00000-of-00001.parquet", capybara_rows(train))
    return folder


def tiny_model(folder: Path) -> Path:
    """Makes a random Llama of about 30,000 parameters and a byte-level tokenizer without a chat template.

    As base models have it: ``<s>`` and ``</s>``, no padding token, float32 safetensors.

    Args:
        folder: where it goes; made if missing.

    Returns:
        the folder, for ``from_pretrained``.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bytewise = Tokenizer(models.BPE())
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bytewise.train_from_iterator((f"tell me about {topic}, gladly" for topic in TOPICS), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytewise, bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(folder)
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(
        devices=[]
    ):  # the same weights each time, and the caller's generator as it was
        torch.manual_seed(0)
        LlamaForCausalLM(shape).save_pretrained(folder)
    return folder
