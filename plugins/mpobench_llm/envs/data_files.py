"""Datasets of the hub or of local files, opened by datasets, with paths taken literally.

datasets reads ``data[1].jsonl`` as a pattern, under which ``data1.jsonl`` may be read in its place.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpobench import RequestError
from mpobench.files.text import expanded
from mpobench_llm.envs.hub_names import COMMIT, FORMATS, check_path
from mpobench_llm.models.loading_errors import explained


def open_dataset(dataset: str, revision: str | None = None) -> Mapping[str, Any]:
    """The splits of a dataset by name; a single file is the split ``train``.

    Args:
        dataset: Name on the hub, or path of a file or folder.
        revision: Branch, tag or commit on the hub.

    Raises:
        RequestError: If it cannot be reached or read.
    """
    with explained(dataset, "dataset"), _quietly():
        return _open(dataset, revision)


@contextmanager
def _quietly() -> Iterator[None]:
    """Turns off datasets' progress bars, its log of errors that it raises too, and its count of loads.

    It counts loads at s3.amazonaws.com, even those of local files, and without a network it waits for an answer.
    """
    import datasets

    shown, verbosity = not datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    counts = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        yield
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counts
        datasets.logging.set_verbosity(verbosity)
        if shown:
            datasets.enable_progress_bars()


def _open(dataset: str, revision: str | None) -> Mapping[str, Any]:
    import datasets

    path = expanded(dataset)
    check_path(dataset)
    if path.is_file():
        kind = FORMATS.get(path.suffix)
        if kind is None:
            raise RequestError(f"cannot read {dataset}: a dataset's file is {', '.join(FORMATS)}")
        return _read(kind, {"train": [path]})
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        saved = datasets.load_from_disk(str(path))
        return saved if isinstance(saved, datasets.DatasetDict) else {"train": saved}
    if path.is_dir():
        return _read(*_files_of(path))
    loaded: Mapping[str, Any] = datasets.load_dataset(dataset, revision=revision)
    _check_commit(dataset, loaded, revision)
    return loaded


def _check_commit(dataset: str, loaded: Mapping[str, Any], revision: str | None) -> None:
    """Refuses another commit than was asked for: without the hub, datasets takes the last one that it has cached.

    Raises:
        RequestError: If the files lie in the cache's folder of another commit.
    """
    if revision is None or not COMMIT.fullmatch(revision):
        return
    for rows in loaded.values():
        for file in rows.cache_files:
            commits = {part for part in Path(file["filename"]).parts if COMMIT.fullmatch(part)}
            if commits and revision not in commits:
                raise RequestError(
                    f"the commit {revision} of {dataset} cannot be loaded without the hub, for the cache holds a later "
                    f"one: connect, or take that one (dataset={dataset}@{min(commits)})"
                )


def _read(kind: str, files: Mapping[str, list[Path]]) -> Mapping[str, Any]:
    """Splits of local files."""
    import datasets

    literal = {split: [glob.escape(str(path.absolute())) for path in paths] for split, paths in files.items()}
    loaded: Mapping[str, Any] = datasets.load_dataset(kind, data_files=literal)
    return loaded


def _files_of(folder: Path) -> tuple[str, dict[str, list[Path]]]:
    """The reader of a folder's files, and the files of each split: as its card says, or else by their names.

    datasets' own steps, on a folder whose path is escaped.
    """
    from datasets.data_files import DataFilesDict, get_data_patterns
    from datasets.load import infer_module_for_data_files
    from datasets.packaged_modules import _MODULE_TO_EXTENSIONS

    place = glob.escape(str(folder.resolve()))
    patterns = _patterns_of_card(folder) or get_data_patterns(place)
    found = DataFilesDict.from_patterns(patterns, base_path=place)
    kind = str(infer_module_for_data_files(found, path=str(folder))[0])
    readable = found.filter(extensions=_MODULE_TO_EXTENSIONS[kind])
    left = {Path(file).suffix for split in found for file in set(found[split]) - set(readable[split])}
    if left & {".jsonl", ".parquet"}:
        raise RequestError(f"{folder} holds files of several formats; keep one, .parquet, .json or .jsonl")
    return kind, {str(split): [Path(file) for file in files] for split, files in readable.items()}


def _patterns_of_card(folder: Path) -> Any:
    """Patterns of the files of each split in the folder's README.md, or None: those of its default configuration."""
    from datasets.data_files import sanitize_patterns
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    card = folder / "README.md"
    if not card.is_file():
        return None
    configs = MetadataConfigs.from_dataset_card_data(DatasetCard.load(card).data)
    if not configs:
        return None
    name = configs.get_default_config_name()
    if name is None:
        raise RequestError(
            f"{folder} holds several datasets ({', '.join(configs)}), and its README.md names no default: "
            "give a folder with one"
        )
    files = configs[name].get("data_files")
    return sanitize_patterns(files) if files else None
