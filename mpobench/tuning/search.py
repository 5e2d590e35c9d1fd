"""The search: batches of trials, raced over rungs of seeds, for all studies at once so that no worker is idle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mpobench.files.keys import content_key
from mpobench.tuning.journal import Journal
from mpobench.tuning.proposals import propose
from mpobench.tuning.scores import Job, Scores
from mpobench.tuning.settings import Tuning
from mpobench.tuning.study import Study
from mpobench.tuning.trial import BATCH, Trial, promoted, trainings_of_batch


def search(studies: Sequence[Study], tuning: Tuning, journal: Journal, scores: Scores) -> list[list[Trial]]:
    """Carries out the batches that are missing in the journal.

    A batch enters the journal when it is whole. If it is interrupted, its trainings are kept, and it is proposed again,
    the same to the bit.

    Returns:
        The trials of each study, as many as the request has.

    Raises:
        MpobenchError: If a training fails in another way than by diverging.
        KeyboardInterrupt: On Ctrl-C.
    """
    trials = [journal.trials(study.name) for study in studies]
    for first in range(0, tuning.trials, BATCH):
        due = [at for at, known in enumerate(trials) if len(known) < first + BATCH]
        batches = {
            at: propose(studies[at].space, trials[at][:first], tuning.rungs[-1], _seed(studies[at], first))
            for at in due
        }
        contenders = {
            at: {number: Trial(point, ()) for number, point in enumerate(batch)}
            for at, batch in batches.items()
        }
        title = f"batch {first // BATCH + 1} of {tuning.trials // BATCH}"
        raced = _race({studies[at]: batch for at, batch in contenders.items()}, tuning, scores, title)
        for at in due:
            batch = raced[studies[at]]
            journal.append(
                studies[at].name, studies[at].space, batch[len(trials[at]) - first :], tuning.rungs[-1]
            )
            trials[at] = [*trials[at][:first], *batch]
    return [known[: tuning.trials] for known in trials]


def expected_trainings(studies: int, tuning: Tuning) -> int:
    """Number of trainings of a whole tuning, if nothing diverges and the best trial changes at each budget."""
    searching = tuning.trials // BATCH * trainings_of_batch(tuning.rungs)
    return studies * (searching + len(tuning.budgets) * tuning.held_out)


def _race(
    batches: dict[Study, dict[int, Trial]], tuning: Tuning, scores: Scores, title: str
) -> dict[Study, list[Trial]]:
    """Trains batches rung by rung; the trials of each in the order of their proposal."""
    ended = {study: dict(batch) for study, batch in batches.items()}
    running = {study: list(batch) for study, batch in batches.items()}
    for before, seeds in zip((0, *tuning.rungs), tuning.rungs, strict=False):
        at_seeds = tuning.tuning_seeds[before:seeds]
        places = [(study, number) for study, numbers in running.items() for number in numbers]
        jobs = [Job(study, ended[study][number].point, seed) for study, number in places for seed in at_seeds]
        measured = iter(scores.measure(jobs, f"{title}, seeds to {at_seeds[-1]}"))
        for study, number in places:
            trial = ended[study][number]
            gained = tuple(next(measured) for _ in at_seeds)
            ended[study][number] = replace(trial, scores=(*trial.scores, *gained))
        running = {
            study: promoted({number: ended[study][number] for number in numbers})
            for study, numbers in running.items()
            if numbers
        }
    return {study: [batch[number] for number in sorted(batch)] for study, batch in ended.items()}


def _seed(study: Study, first: int) -> int:
    """Seed of the batch that begins with a trial."""
    return int(content_key([study.key, first])[:8], 16)
