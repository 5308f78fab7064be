"""What figures there are, and the published tables that each is drawn from; read by the rule file, so it is light."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A figure: its title and section in the report, its ``tables``, and whether it has to know the arms' order."""

    title: str
    section: str
    tables: tuple[str, ...]
    by_arm: bool = False


CATALOGUE = {
    "misalignment": Entry("Misalignment by arm and domain", "Effects", ("misalignment",), by_arm=True),
    "transfer_domains": Entry("Change from the base by arm and domain", "Effects", ("misalignment",), by_arm=True),
    "denominators": Entry("Misalignment by denominator", "Effects", ("misalignment",), by_arm=True),
    "trends": Entry("Arms along a quantity", "Effects", ("trends",)),
    "contrasts": Entry("Planned contrasts", "Effects", ("contrasts",)),
    "likelihood": Entry("Likelihood of misaligned references", "Effects", ("misalignment",), by_arm=True),
    "annotation": Entry("Metaphor annotation against gold labels", "Texts", ("annotation_quality",)),
    "masking": Entry("What masking hides", "Texts", ("masking",)),
    "training": Entry("Training curves", "Instruments", ("training",)),
    "judge": Entry("Reliability of the judges", "Instruments", ("judge_reliability",)),
    "features": Entry("Features of misaligned responses", "Features", ("sae_features",)),
    "feature_overlap": Entry("Features that domains share", "Features", ("sae_features",)),
    "feature_contrasts": Entry("Features that set arms apart", "Features", ("feature_contrasts",)),
    "interventions": Entry("Dose-response of interventions", "Features", ("interventions",), by_arm=True),
    "detector": Entry("Detectors and their controls", "Features", ("detector", "detector_curves")),
    "calibration": Entry("Calibration of the detectors", "Features", ("detector", "detector_curves")),
    "detector_transfer": Entry("Detectors on unseen domains and arms", "Features", ("detector",), by_arm=True),
    "dynamics": Entry("Training loss against misalignment", "Dynamics", ("dynamics", "equal_loss"), by_arm=True),
    "early_warning": Entry("Early warning over training", "Dynamics", ("early_warning",), by_arm=True),
    "narrow": Entry("Narrow and general solutions", "Dynamics", ("narrow_general",)),
    "priors": Entry("Prior prediction", "Dynamics", ("prior_prediction",), by_arm=True),
    "moments": Entry("Means and spreads of outcomes", "Dynamics", ("moments",)),
    "subspaces": Entry("Shift subspaces", "Dynamics", ("subspace_overlap",), by_arm=True),
    "geometry": Entry(
        "Steering vectors: cosines, tree, map",
        "Geometry",
        ("geometry_pairs", "geometry_coordinates", "geometry_merges"),
    ),
    "geometry_components": Entry(
        "Principal components of steering vectors", "Geometry", ("geometry_tests", "geometry_coordinates")
    ),
    "geometry_layers": Entry("Steering vectors from layer to layer", "Geometry", ("geometry_layers",)),
    "transfer": Entry("Transfer and dose-response of steering vectors", "Geometry", ("transfer", "dose_response")),
}
