"""Batches of rows: what each prediction is made from, in both layouts."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from mpobench_llm.models.batch import collate
from mpobench_llm.models.tokens import Row

SOME = st.lists(st.integers(3, 399), min_size=1, max_size=6).map(tuple)


def batches_of(sides: int) -> st.SearchStrategy[list[Row]]:
    return st.lists(
        st.builds(Row, SOME, st.tuples(*[SOME] * sides), st.integers(0, 99)), min_size=1, max_size=4
    )


@given(
    st.integers(1, 3).flatmap(batches_of),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.sampled_from(["packed", "apart"]),
)
def test_every_prediction_is_made_from_the_prompt_and_the_completion_so_far(rows, dtype, layout):
    batch = collate(rows, dtype, layout)
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    width = ids.shape[1]
    if layout == "packed":
        positions, seen = batch.inputs["position_ids"], mask[:, 0] == 0
    else:
        positions = torch.arange(width).expand(ids.shape)  # as the model counts
        seen = (mask[:, None, :] == 1) & torch.ones(width, width, dtype=torch.bool).tril()
    made = []
    for source, target, owner in zip(
        batch.sources.tolist(), batch.targets.tolist(), batch.owners.tolist(), strict=True
    ):
        row, at = divmod(source, width)
        visible = seen[row, at].nonzero()[:, 0]
        order = positions[row, visible].argsort()
        assert positions[row, visible][order].tolist() == list(range(len(order)))
        assert visible[order][-1] == at, "a token sees itself, last"
        made.append((owner, tuple(ids[row, visible[order]].tolist()), target))
    assert made == [
        (r * len(row.completions) + side, row.prompt + completion[:step], token)
        for r, row in enumerate(rows)
        for side, completion in enumerate(row.completions)
        for step, token in enumerate(completion)
    ]


@given(batches_of(2), st.sampled_from([torch.float32, torch.bfloat16]))
def test_the_mask(rows, dtype):
    """Tokens of the prompt and of padding too."""
    mask = collate(rows, dtype, "packed").inputs["attention_mask"]
    width = max(len(row) for row in rows)
    assert mask.shape == (len(rows), 1, width, width)
    assert mask.dtype == dtype
    assert set(mask.unique().tolist()) <= {0.0, torch.finfo(dtype).min}
    for r, row in enumerate(rows):
        parts = ["prompt"] * len(row.prompt)
        for side, completion in enumerate(row.completions):
            parts += [f"completion {side}"] * len(completion)
        parts += ["padding"] * (width - len(parts))
        for i, mine in enumerate(parts):
            for j, other in enumerate(parts):
                visible = j <= i and (other == mine or (other == "prompt" and mine != "padding"))
                assert (mask[r, 0, i, j] == 0) == visible


@given(batches_of(2), st.sampled_from(["packed", "apart"]))
def test_lengths_and_indices(rows, layout):
    batch = collate(rows, torch.float32, layout)
    assert batch.lengths.tolist() == [[len(side) for side in row.completions] for row in rows]
    assert batch.indices.tolist() == [row.index for row in rows]
    assert len(batch.sources) == len(batch.targets) == len(batch.owners) == int(batch.lengths.sum())
