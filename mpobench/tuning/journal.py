"""The journal of a tuning: optuna's own, one study for each objective on each dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mpobench.errors import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.tuning.proposals import as_optuna
from mpobench.tuning.space import Space
from mpobench.tuning.trial import Trial

if TYPE_CHECKING:
    import optuna


class Journal:
    """Finished trials, in the file ``journal.log`` that optuna's tools read as well.

    A process has the folder to itself (see :func:`held`), so the journal needs no lock of its own, which a kill would
    leave behind.

    Args:
        folder: Folder of the tuning.

    Raises:
        RequestError: If the journal is damaged.
    """

    def __init__(self, folder: Path) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._path = folder / "journal.log"
        _cut_torn_line(self._path)
        lock: Any = _NoLock()
        backend = JournalFileBackend(str(self._path), lock_obj=lock)
        try:
            self._storage = optuna.storages.JournalStorage(backend)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damage() from error

    def trials(self, name: str) -> list[Trial]:
        """Trials of a study, in the order of their proposal.

        Raises:
            RequestError: If the journal is damaged.
        """
        if not self._known(name):
            return []
        try:
            return [
                Trial(trial.user_attrs["point"], tuple(trial.user_attrs["scores"]))
                for trial in self._study(name).trials
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damage() from error

    def append(self, name: str, space: Space, trials: Sequence[Trial], seeds: int) -> None:
        """Adds trials to a study, which is made if it is the first time."""
        self._study(name).add_trials([as_optuna(space, trial, seeds) for trial in trials])

    def _study(self, name: str) -> optuna.Study:
        import optuna

        if self._known(name):
            return optuna.load_study(storage=self._storage, study_name=name)
        return optuna.create_study(storage=self._storage, study_name=name, direction="maximize")

    def _known(self, name: str) -> bool:
        """Whether there is such a study; to create it a second time would write a line, whatever came of it."""
        import optuna

        return name in optuna.get_all_study_names(self._storage)

    def _damage(self) -> RequestError:
        return RequestError(
            f"{self._path} is damaged: delete it, and the same command makes it again from the results beside it"
        )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a tuning's folder.

    Raises:
        RequestError: If one is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RequestError(
            f"another process is tuning in {folder}: wait for it, or choose another --output"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _cut_torn_line(path: Path) -> None:
    """Removes the line that a kill has left half written; what follows would be unreadable."""
    if path.exists():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_atomically(path, whole)


class _NoLock:
    """What optuna wants of a lock, where the folder is held already."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return
