"""Training tokens per second against TRL's DPOTrainer: same model, adapter, pairs, batch, precision and threads.

Each trainer runs in a process of its own, with one thread, so that its peak memory is its own. The processes take turns
of a second on one core, and their own processor time counts: whatever else slows the core down slows all of them alike.
A token counts once for each sequence that the dataset has it in, for both. Of what TRL does not do, the KL curve is
left out, and the trial of the layout counts against us.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

PAIRS, BATCH = 96, 8
TURN = 1.0
"""Seconds for which one of the processes runs, while the others are stopped."""

PRELUDE = """
import json, os, resource, sys, time, torch
torch.set_num_threads(1)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
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
settings = TrainingSettings(pairs_per_batch=batch, accumulation=1, schedule="constant", warmup=0.0, kl_answers=0)
source = ModelSource(folder, "model", "bfloat16")
model, _ = load_base(source)
began = time.process_time()
with headless(model) as head:
    reference = logps.all_logps(model, head, rows, batch)
with adapters.adapted(model, lora, None) as wrapped, headless(model) as head:
    stage = Stage(source, lora, None, mpobench.objective("dpo"), rows, reference, settings, 1, 1e-5, 0, work)
    curves = fit(wrapped, head, stage, lambda fraction: None)
report(time.process_time() - began, curves["loss"][0])
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
began = time.process_time()
trainer = DPOTrainer(model=model, args=arguments, train_dataset=data, processing_class=tokenizer, peft_config=lora)
trainer.train()
loss = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
report(time.process_time() - began, loss)
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
    running = {}
    for name, program in PROGRAMS.items():
        arguments = (smollm, str(tmp_path / name), str(pairs), str(BATCH))
        with (tmp_path / f"{name}.txt").open("w") as said:
            running[name] = subprocess.Popen(
                [sys.executable, "-c", PRELUDE + program, *arguments],
                stdout=said,
                stderr=subprocess.STDOUT,
                env={
                    "OMP_NUM_THREADS": "1",
                    "HF_HUB_OFFLINE": "1",
                    "PATH": "",
                    "PYTHONPATH": ":".join(sys.path),
                },
            )
        running[name].send_signal(signal.SIGSTOP)
    try:
        for process in itertools.cycle(running.values()):
            process.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TURN)
            process.send_signal(signal.SIGSTOP)
            if all(each.poll() is not None for each in running.values()):
                break
    finally:
        for process in running.values():
            process.kill()
    found = {name: _result((tmp_path / f"{name}.txt").read_text()) for name in PROGRAMS}
    speed = {name: result["tokens_per_second"] for name, result in found.items()}
    peak = {name: result["peak"] for name, result in found.items()}
    for name in PROGRAMS:
        print(f"{name:32} {speed[name]:6.0f} tokens/s, peak {peak[name]:.2f} GiB")
    assert found["mpobench"]["loss"] == pytest.approx(found["TRL"]["loss"], abs=0.02)
    assert speed["mpobench"] >= 1.3 * speed["TRL"]
    assert speed["mpobench, rows apart"] >= 1.2 * speed["TRL"]
    assert peak["mpobench"] <= peak["TRL"]


def _result(said: str) -> dict[str, float]:
    lines = [line for line in said.splitlines() if line.startswith("RESULT")]
    assert lines, said[-2000:]
    result: dict[str, float] = json.loads(lines[0].removeprefix("RESULT"))
    return result
