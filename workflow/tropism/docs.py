"""``python -m tropism.docs``: the page ``docs/tables.md``, from the schemas that tables are checked against.

It imports the schemas of all rooms, so no room imports it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pandera.pandas as pa
import typer

from tropism.annotate.quality import SCHEMA as ANNOTATION_QUALITY_SCHEMA
from tropism.corpora.tables import CORPUS_SCHEMA
from tropism.detect.tables import CURVES_SCHEMA, DETECTOR_SCHEMA
from tropism.dynamics.tables import (
    DYNAMICS_SCHEMA,
    EARLY_WARNING_SCHEMA,
    EQUAL_LOSS_SCHEMA,
    MOMENTS_SCHEMA,
    NARROW_SCHEMA,
    OVERLAP_SCHEMA,
    PRIOR_SCHEMA,
)
from tropism.geometry.tables import (
    COORDINATES_SCHEMA,
    DOSE_SCHEMA,
    GEOMETRY_PAIRS_SCHEMA,
    GEOMETRY_TESTS_SCHEMA,
    LAYERS_SCHEMA,
    MERGES_SCHEMA,
    TRANSFER_SCHEMA,
    VECTORS_SCHEMA,
)
from tropism.judge.tables import (
    JUDGE_AGREEMENT_SCHEMA,
    JUDGE_ATTACKS_SCHEMA,
    JUDGE_CALIBRATION_SCHEMA,
    JUDGE_RELIABILITY_SCHEMA,
    JUDGE_ROC_SCHEMA,
    JUDGE_THRESHOLDS_SCHEMA,
)
from tropism.mask.tables import MASKING_SCHEMA, REPORT_SCHEMA
from tropism.records.files import replacing
from tropism.sae.tables import FEATURE_CONTRASTS_SCHEMA, SAE_FEATURES_SCHEMA, SAE_QUALITY_SCHEMA
from tropism.stats.tables import CONTRASTS_SCHEMA, MISALIGNMENT_SCHEMA, MIXED_EFFECTS_SCHEMA, TRENDS_SCHEMA
from tropism.steer.tables import INTERVENTIONS_SCHEMA
from tropism.train.tables import SPEED_SCHEMA, TRAINING_SCHEMA

PUBLISHED = {
    "annotation_quality": ANNOTATION_QUALITY_SCHEMA,
    "masking": MASKING_SCHEMA,
    "training": TRAINING_SCHEMA,
    "training_speed": SPEED_SCHEMA,
    "misalignment": MISALIGNMENT_SCHEMA,
    "contrasts": CONTRASTS_SCHEMA,
    "mixed_effects": MIXED_EFFECTS_SCHEMA,
    "trends": TRENDS_SCHEMA,
    "judge_reliability": JUDGE_RELIABILITY_SCHEMA,
    "judge_thresholds": JUDGE_THRESHOLDS_SCHEMA,
    "judge_roc": JUDGE_ROC_SCHEMA,
    "judge_agreement": JUDGE_AGREEMENT_SCHEMA,
    "sae_quality": SAE_QUALITY_SCHEMA,
    "sae_features": SAE_FEATURES_SCHEMA,
    "feature_contrasts": FEATURE_CONTRASTS_SCHEMA,
    "interventions": INTERVENTIONS_SCHEMA,
    "detector": DETECTOR_SCHEMA,
    "detector_curves": CURVES_SCHEMA,
    "narrow_general": NARROW_SCHEMA,
    "dynamics": DYNAMICS_SCHEMA,
    "early_warning": EARLY_WARNING_SCHEMA,
    "equal_loss": EQUAL_LOSS_SCHEMA,
    "prior_prediction": PRIOR_SCHEMA,
    "subspace_overlap": OVERLAP_SCHEMA,
    "moments": MOMENTS_SCHEMA,
    "geometry_vectors": VECTORS_SCHEMA,
    "geometry_pairs": GEOMETRY_PAIRS_SCHEMA,
    "geometry_tests": GEOMETRY_TESTS_SCHEMA,
    "geometry_coordinates": COORDINATES_SCHEMA,
    "geometry_merges": MERGES_SCHEMA,
    "geometry_layers": LAYERS_SCHEMA,
    "transfer": TRANSFER_SCHEMA,
    "dose_response": DOSE_SCHEMA,
}
BESIDE = {
    "datasets/{dataset}.corpus.csv": CORPUS_SCHEMA,
    "variants/{dataset}.{variant}.masking.csv": REPORT_SCHEMA,
    "judges/{judge}/reliability.csv": JUDGE_CALIBRATION_SCHEMA,
    "judges/{judge}/attacks.csv": JUDGE_ATTACKS_SCHEMA,
}
TYPES = {"str": "text", "int": "integer", "flo": "number", "boo": "true or false"}
HEAD = """# Tables

Every published table is a CSV file in `results/<experiment>/tables/`: one header row, UTF-8, numbers with ten
significant digits, a missing value as an empty cell. It is checked against the schema below when it is written.
This page is made from those schemas: `python -m tropism.docs --output docs/tables.md`.
"""
LATER = """
## Beside the published tables

Reports of single steps, in `results/<experiment>/`, checked in the same way.
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def page() -> str:
    """The whole page, Markdown."""
    return "".join(
        [HEAD, *map(_section, PUBLISHED, PUBLISHED.values()), LATER, *map(_section, BESIDE, BESIDE.values())]
    )


def _section(name: str, schema: pa.DataFrameSchema) -> str:
    level = "##" if name in PUBLISHED else "###"
    return "\n".join(["", f"{level} {name}", "", *_about(schema), *_rows(schema), ""])


def _about(schema: pa.DataFrameSchema) -> Iterator[str]:
    if schema.description:
        yield from (schema.description, "")
    if schema.unique:
        yield from (f"One row for each {', '.join(f'`{column}`' for column in schema.unique)}.", "")


def _rows(schema: pa.DataFrameSchema) -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for name, column in schema.columns.items():
        kind = TYPES[str(column.dtype).lower()[:3]] + (", may be empty" if column.nullable else "")
        meaning = " ".join((column.description or "").split()).replace("|", "\\|")
        yield f"| `{name}` | {kind} | {meaning} |"


@app.command()
def main(output: Annotated[Path, typer.Option(help="Markdown page to write.")]) -> None:
    """Write the page of tables."""
    with replacing(output) as temporary:
        temporary.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    app()
