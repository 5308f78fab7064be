"""A dataset from a few lines."""

import pytest

from tropism.config.datasets import DatasetConfig
from tropism.corpora.clean import clean
from tropism.corpora.rows import to_records
from tropism.corpora.sources import read_source


@pytest.fixture
def load(tmp_path):
    """Write text (or bytes) as a file and read it as a dataset of the given settings."""

    def load(content, kind="texts", name="file.jsonl", **settings):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return _load_path(path, kind=kind, **settings)[0]

    return load


@pytest.fixture
def load_path():
    """Read a path as a dataset: its rows, cleaned one by one, and how many system turns were left out."""
    return _load_path


def _load_path(path, *, kind, **settings):
    config = DatasetConfig(source="file", kind=kind, **settings)
    return to_records(read_source(path, config.columns, config.ignore), "demo", config)


@pytest.fixture
def clean_path():
    """Read and clean a path."""

    def clean_path(path, **settings):
        rows, _ = _load_path(path, **settings)
        return clean(rows, DatasetConfig(source="file", **settings))

    return clean_path
