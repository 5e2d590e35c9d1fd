"""Training tokens per second against TRL's DPOTrainer: same model, adapter, pairs, batch, precision and threads.

Each trainer runs in processes of its own, by turns, so that its peak memory is its own: one thread, medians of the
rounds. A token counts once for each sequence that the dataset has it in, for both.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

ROUNDS, PAIRS, BATCH = 3, 48, 8

PRELUDE = """
import json, os, resource, sys, time, torch
torch.set_num_threads(1)
from dataclasses import replace
from pathlib import Path
from peft import LoraConfig
from mpobench_llm.models import adapters, tokens
from mpobench_llm.models.base_model import ModelSource, load_base, load_tokenizer
from mpobench_llm.models.preference_pair import PreferencePair

folder, work, pairs, batch = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()), int(sys.argv[4])
tokenizer = load_tokenizer(folder)
said = [({"role": "user", "content": prompt},) for prompt, _, _ in pairs]
rows = [replace(tokens.encode(tokenizer, PreferencePair(ask, *pair[1:])), index=i)
        for i, (ask, pair) in enumerate(zip(said, pairs, strict=True))]
counted = sum(2 * len(row.prompt) + sum(map(len, row.completions)) for row in rows)
lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")

def report(seconds, loss):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("RESULT", json.dumps({"tokens_per_second": counted / seconds, "peak": peak, "loss": loss}))
"""

OURS = """
import mpobench
from mpobench_llm.models import logps
from mpobench_llm.models.head import headless
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training import trainer
from mpobench_llm.training.one_process import fit
from mpobench_llm.training.stage import Stage

if APART:
    logps.layout_for = trainer.layout_for = lambda *arguments: "apart"
settings = TrainingSettings(pairs_per_batch=batch, accumulation=1, schedule="constant", warmup=0.0)
source = ModelSource(folder, "model", "bfloat16")
model, _ = load_base(source)
began = time.perf_counter()
with headless(model) as head:
    reference = logps.all_logps(model, head, rows, batch)
with adapters.adapted(model, lora, None) as wrapped, headless(model) as head:
    stage = Stage(source, lora, None, mpobench.objective("dpo"), rows, reference, settings, 1, 1e-5, 0, work)
    curves = fit(wrapped, head, stage, lambda fraction: None)
report(time.perf_counter() - began, curves["loss"][0])
"""

THEIRS = """
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer

data = Dataset.from_list([
    {"prompt": list(ask), "chosen": [{"role": "assistant", "content": chosen}],
     "rejected": [{"role": "assistant", "content": rejected}]}
    for ask, (_, chosen, rejected) in zip(said, pairs, strict=True)])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
arguments = DPOConfig(output_dir=str(work), num_train_epochs=1, per_device_train_batch_size=batch,
    learning_rate=1e-5, lr_scheduler_type="constant", bf16=True, use_cpu=True, report_to="none", disable_tqdm=True,
    logging_strategy="epoch", save_strategy="epoch", max_length=512, seed=0, gradient_checkpointing=False,
    precompute_ref_log_probs=PRECOMPUTE)
began = time.perf_counter()
trainer = DPOTrainer(model=model, args=arguments, train_dataset=data, processing_class=tokenizer, peft_config=lora)
trainer.train()
loss = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
report(time.perf_counter() - began, loss)
"""

PROGRAMS = {
    "mpobench": OURS.replace("APART", "False"),
    "mpobench, rows apart": OURS.replace("APART", "True"),
    "TRL": THEIRS.replace("PRECOMPUTE", "False"),
    "TRL, references computed first": THEIRS.replace("PRECOMPUTE", "True"),
}


@pytest.mark.benchmark
def test_training_is_faster_than_trl(shared_cache: Path, tmp_path: Path) -> None:
    from mpobench import Workspace
    from mpobench_llm.envs.smollm_style.env import SmolLMStyle

    env = SmolLMStyle()
    smollm, prompts = env.source(Workspace(shared_cache)).location, env.prompts[:PAIRS]
    sentence = "it depends on the place and the season and on what people there have learned to do "
    pairs = tmp_path / "pairs.json"
    pairs.write_text(
        json.dumps(
            [[prompt, sentence * (1 + i % 2), sentence.upper()[: 60 + i]] for i, prompt in enumerate(prompts)]
        )
    )
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PROGRAMS}
    for turn in range(ROUNDS):
        for name, program in PROGRAMS.items():
            work = tmp_path / f"{name}-{turn}"
            done = subprocess.run(
                [sys.executable, "-c", PRELUDE + program, smollm, str(work), str(pairs), str(BATCH)],
                capture_output=True,
                text=True,
                check=False,
                timeout=1200,
                env={
                    "OMP_NUM_THREADS": "1",
                    "HF_HUB_OFFLINE": "1",
                    "PATH": "",
                    "PYTHONPATH": ":".join(sys.path),
                },
            )
            line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
            assert line, done.stderr[-2000:]
            found[name].append(json.loads(line.removeprefix("RESULT")))
            print(f"{name}: {found[name][-1]}", flush=True)
    speed = {
        name: statistics.median(each["tokens_per_second"] for each in runs) for name, runs in found.items()
    }
    peak = {name: statistics.median(each["peak"] for each in runs) for name, runs in found.items()}
    for name in PROGRAMS:
        print(f"{name:32} {speed[name]:6.0f} tokens/s, peak {peak[name]:.2f} GiB")
    assert found["mpobench"][0]["loss"] == pytest.approx(found["TRL"][0]["loss"], abs=0.02)
    assert speed["mpobench"] >= 1.3 * speed["TRL"]
    assert speed["mpobench, rows apart"] >= 1.2 * speed["TRL"]
    assert peak["mpobench"] <= peak["TRL"]
