"""A small experiment's published tables, made up but checked against the schemas."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from tropism.docs import PUBLISHED
from tropism.figures.__main__ import app
from tropism.judge.tables import JUDGE_CALIBRATION_SCHEMA
from tropism.records.files import write_table

from . import effects, geometry, mechanism

SCHEMAS = {name: schema for name, schema in PUBLISHED.items() if name != "training_speed"}
SCHEMAS["reliability"] = JUDGE_CALIBRATION_SCHEMA
MAKERS = (
    effects.misalignment,
    effects.contrasts,
    effects.trends,
    effects.annotation_quality,
    effects.masking,
    effects.training,
    effects.judge_reliability,
    effects.reliability,
    mechanism.sae_features,
    mechanism.feature_contrasts,
    mechanism.interventions,
    mechanism.detector,
    mechanism.detector_curves,
    mechanism.dynamics,
    mechanism.equal_loss,
    mechanism.moments,
    mechanism.early_warning,
    mechanism.prior_prediction,
    mechanism.subspace_overlap,
    mechanism.narrow_general,
    geometry.geometry_pairs,
    geometry.geometry_tests,
    geometry.geometry_coordinates,
    geometry.geometry_merges,
    geometry.geometry_layers,
    geometry.geometry_vectors,
    geometry.transfer,
    geometry.dose_response,
)


def write_tables(folder: Path) -> Path:
    for make in MAKERS:
        write_table(folder / f"{make.__name__}.csv", make(), SCHEMAS[make.__name__])
    return folder


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every published table that a figure is drawn from."""
    return write_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="session")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tables without a row."""
    folder = tmp_path_factory.mktemp("empty")
    for name, schema in SCHEMAS.items():
        pd.DataFrame(columns=list(schema.columns)).to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def arm_flag() -> str:
    """The arms in the order of the settings, each with its untrained arm."""
    return effects.ARM_FLAG


@pytest.fixture(scope="session")
def written(tables: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the LaTeX of all tables."""
    folder = tmp_path_factory.mktemp("latex") / "latex"
    flags = [flag for path in sorted(tables.glob("*.csv")) for flag in ("--tables", str(path))]
    result = CliRunner().invoke(
        app, ["latex", *flags, "--notes", str(root / "docs" / "tables.md"), "--output", str(folder)]
    )
    assert result.exit_code == 0, result.output + repr(result.exception)
    return folder
