"""What a figure shows in this run, in sentences with its numbers: for captions, from the points that are plotted.

Each function takes the points of the figure of its name and gives sentences of plain text; none says more than the
numbers do.
"""

from collections.abc import Callable, Iterator

import pandas as pd

from tropism.figures.findings import dynamics, effects, geometry, instruments, mechanism

FINDINGS: dict[str, Callable[[pd.DataFrame], Iterator[str]]] = {
    "misalignment": effects.misalignment,
    "transfer_domains": effects.transfer_domains,
    "denominators": effects.denominators,
    "trends": effects.trends,
    "contrasts": effects.contrasts,
    "likelihood": effects.likelihood,
    "annotation": instruments.annotation,
    "masking": instruments.masking,
    "training": instruments.training,
    "judge": instruments.judge,
    "features": mechanism.features,
    "feature_overlap": mechanism.feature_overlap,
    "feature_contrasts": mechanism.feature_contrasts,
    "interventions": mechanism.interventions,
    "detector": mechanism.detector,
    "calibration": mechanism.calibration,
    "detector_transfer": mechanism.detector_transfer,
    "dynamics": dynamics.dynamics,
    "early_warning": dynamics.early_warning,
    "narrow": dynamics.narrow,
    "priors": dynamics.priors,
    "moments": dynamics.moments,
    "subspaces": dynamics.subspaces,
    "geometry": geometry.geometry,
    "geometry_components": geometry.geometry_components,
    "geometry_layers": geometry.geometry_layers,
    "transfer": geometry.transfer,
}


def sentences(name: str, points: pd.DataFrame) -> list[str]:
    """What the figure ``name`` shows in ``points``; nothing for a figure without points."""
    return [] if points.empty else list(FINDINGS[name](points))
