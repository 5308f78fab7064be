"""What a figure and its findings say where values are missing, names are many or numbers are small."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from tropism.figures import canvas, denominators, masking
from tropism.figures.findings import sentences
from tropism.figures.findings.wording import interval
from tropism.figures.legend import fitting_columns
from tropism.figures.marks import cluster_looks, looks_of
from tropism.figures.training import labels_of
from tropism.figures.transfer import in_print

from .effects import ARM_FLAG
from .test_figures import drawn, each_figure, said, table_named


def test_a_missing_r2_is_counted_and_not_drawn(tables: Path):
    table = table_named(tables, "priors")["prior_prediction"]
    lost = (table["features"] == "activations") & (table["layer"] == 10)
    table.loc[lost, ["r2", "r2_low", "r2_high"]] = np.nan
    figure = drawn("priors", {"prior_prediction": table}).figure
    lines = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]
    places = [float(np.asarray(line.get_xdata())[0]) for line in lines]
    assert f"{lost.sum()} of {len(table)} R² missing" in said(figure)
    assert np.isnan(places).sum() == lost.sum()
    assert sum(place == -1 for place in places) == (table["features"] == "random").sum()


def test_what_stands_beside_drift_is_an_arm_held_by_the_kl_term_and_no_references(tables: Path):
    table = table_named(tables, "narrow")["narrow_general"]
    table.loc[table["metric"] == "drift_outside", "reference"] = -0.0123
    lines = {line.split(":")[0]: line for line in sentences("narrow", table)}
    drift, mentions = (lines[f"narrow-medical, {metric} outside the domain"] for metric in ("drift", "mentions"))
    assert "(trained on with the KL term -0.0123), 24 prompts" in drift
    assert "aligned references" not in drift
    assert "(aligned references 0.05), 24 prompts" in mentions


def test_the_best_layer_is_said_with_its_position_where_there_are_several(tables: Path):
    table = table_named(tables, "priors")["prior_prediction"]
    assert "from activations of layer 10, " in " ".join(sentences("priors", table))
    better = table[table["features"] == "activations"].assign(position="mean", r2=0.35)
    text = " ".join(sentences("priors", pd.concat([table, better], ignore_index=True)))
    assert "from activations of layer 10 (mean), " in text


def test_subspaces_of_other_positions_and_sizes_are_said_to_be_left_out(tables: Path):
    table = table_named(tables, "subspaces")["subspace_overlap"]
    assert "of k and position" not in said(drawn("subspaces", {"subspace_overlap": table}).figure)
    both = pd.concat([table, table.assign(position="mean"), table.assign(k=2)], ignore_index=True)
    assert "1 of 3 pairs of k and position is shown" in said(drawn("subspaces", {"subspace_overlap": both}).figure)


def test_series_past_the_colours_have_another_mark():
    looks = looks_of([f"arm-{i}" for i in range(30)])
    assert len(set(looks.values())) == 30


@pytest.mark.parametrize(("label", "columns"), [("short", 3), ("a name as long as a line " * 4, 1)])
def test_a_legend_has_as_many_columns_as_fit(label: str, columns: int):
    assert fitting_columns([label] * 6, 3, 500) == columns


@each_figure
def test_a_missing_interval_is_left_out_of_what_is_said(name: str, tables: Path):
    data = table_named(tables, name)
    for table in data.values():
        ends = [column for column in table if column in ("low", "high") or column.endswith(("_low", "_high"))]
        table[[*ends, *table.columns.intersection(["control_min", "control_max", "kappa", "variance_ratio"])]] = np.nan
    drawing = drawn(name, data, ARM_FLAG)
    text = [said(drawing.figure), *sentences(name, drawing.points)]
    assert [sentence for sentence in text if re.search(r"\bnan\b", sentence)] == []


def test_signed_numbers_keep_their_intervals():
    row = pd.Series({"value": 0.012, "low": -0.004, "high": np.nan})
    assert interval(row, form="+.3g", scale=100) == "+1.2"
    assert interval(row.fillna(0.03), form="+.3g", scale=100) == "+1.2 [-0.4, +3]"


def test_domains_that_share_nothing_are_not_said_to_share_most():
    points = pd.DataFrame({"domain": ["a"], "other": "b", "population": "references", "n_features": 9, "chance": 0.4})
    (sentence,) = sentences("feature_overlap", points.assign(same=0, opposite=1))
    assert sentence.startswith(
        "references: no two domains share a feature with one sign, where chance gives at most 0.4"
    )


def test_the_domain_that_moved_furthest_has_its_own_number_of_prompts(tables: Path):
    points = drawn("dynamics", table_named(tables, "dynamics")).points
    assert "over 70 prompts, furthest in medical, +0.336 [+0.316, +0.366] over 24 prompts." in " ".join(
        sentences("dynamics", points)
    )


def test_the_range_of_layers_shows_every_interval_and_both_kinds_of_chance(tables: Path):
    table = table_named(tables, "geometry_layers")["geometry_layers"]
    table[["low", "covariance_high"]] = -0.47, 0.6
    (axes,) = drawn("geometry_layers", {"geometry_layers": table}).figure.axes
    assert axes.get_ylim()[0] < -0.6


def test_names_in_the_map_of_vectors_stay_beside_the_axis(tables: Path):
    data = table_named(tables, "geometry")
    names = {name: f"{name}-of-some-length" for name in data["geometry_coordinates"]["vector"]}
    data["geometry_coordinates"] = data["geometry_coordinates"].replace({"vector": names})
    data["geometry_pairs"] = data["geometry_pairs"].replace({"a": names, "b": names})
    axes = drawn("geometry", data).figure.axes[2]
    left, right = axes.bbox.x0, axes.bbox.x1
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == len(names)
    assert min(box.x0 for box in boxes) > left
    assert max(box.x1 for box in boxes) < right + 2


def test_clusters_have_the_same_look_in_both_figures_of_vectors_and_none_is_grey():
    places = pd.DataFrame({"number": [0, 1, 2], "cluster": [None, "advice", "style"]})
    looks = cluster_looks(places)
    assert looks["no cluster"] == (canvas.GREY, "o")
    assert canvas.GREY not in (looks["advice"][0], looks["style"][0])


def test_loadings_that_have_no_room_are_counted(tables: Path):
    data = table_named(tables, "geometry_components")
    one = data["geometry_coordinates"].head(1)
    many = [one.assign(vector=f"v{i}", number=i, pc1=i, pc2=i) for i in range(50)]
    data["geometry_coordinates"] = pd.concat(many, ignore_index=True)
    assert "40 of 50 vectors' loadings are shown" in said(drawn("geometry_components", data).figure)


@pytest.mark.parametrize(
    ("value", "decimals", "text"), [(-0.0036, 1, "0.0"), (3.91, 1, "+3.9"), (-0.0, 2, "0.00"), (-3.62, 1, "-3.6")]
)
def test_an_effect_that_rounds_to_nothing_has_no_sign(value: float, decimals: int, text: str):
    assert in_print(value, decimals) == text


def test_small_effects_of_vectors_keep_three_digits_and_a_scale(tables: Path):
    data = table_named(tables, "transfer")
    cells = data["transfer"]
    data["transfer"] = cells.assign(**(cells[["effect", "effect_low", "effect_high"]] / 10))
    text = said(drawn("transfer", data).figure)
    assert "+15.0\n[+9.0, +21.0]" in text
    assert "10⁻³ nats/token" in text
    assert "percentage points" in text


def test_an_accuracy_without_an_interval_lies_within_its_axis(tables: Path):
    data = table_named(tables, "judge")
    data["judge_reliability"][["accuracy", "accuracy_low", "accuracy_high"]] = 0.3, np.nan, np.nan
    assert drawn("judge", data).figure.axes[0].get_xlim()[0] < 0.3


def test_judges_of_a_trend_have_a_line_each_in_the_key_and_a_band_each(tables: Path):
    table = table_named(tables, "trends")["trends"]
    other = table[table["judge"] == "probe"].assign(judge="qwen")
    figure = drawn("trends", {"trends": pd.concat([table, other], ignore_index=True)}).figure
    keys = {str(entry.get_label()): entry for entry in figure.legends[0].legend_handles if entry is not None}
    assert keys["judged by probe"].get_linestyle() != keys["judged by qwen"].get_linestyle()
    assert [len(axes.collections) for axes in figure.axes[:3]] == [2, 2, 1]
    assert "judged by" not in said(drawn("trends", {"trends": table}).figure)


def test_changes_of_rates_are_percentage_points(tables: Path):
    text = said(drawn("trends", table_named(tables, "trends")).figure)
    assert "change, percentage points" in text
    assert "change, %" not in text
    assert "dose of masking\n%" in text


def test_each_followed_arm_has_its_own_number_of_prompts_and_pairs_left_out_are_counted(tables: Path):
    data = table_named(tables, "dynamics")
    table, pairs = data["dynamics"], data["equal_loss"]
    table.loc[table["arm"] == "none-medical-original", "n_prompts"] = 20
    others = [f"arm-{i}" for i in range(4)]
    one = table[table["arm"] == "none-medical-original"]
    data["dynamics"] = pd.concat([table, *(one.assign(arm=name) for name in others)], ignore_index=True)
    data["equal_loss"] = pd.concat([pairs, *(pairs.assign(treatment=name) for name in others)], ignore_index=True)
    text = said(drawn("dynamics", data).figure)
    assert "none-medical-original (n 20)" in text
    assert "poetry-medical-original (n 70)" in text
    assert "3 of 5 pairs at equal loss are shown" in text


def test_every_masked_variant_has_bars_and_what_masks_nothing_is_named(tables: Path):
    table = table_named(tables, "masking")["masking"]
    parts = [table[table["variant"] == "metaphor"].assign(variant=f"metaphor_{dose}") for dose in (25, 50, 75)]
    nothing = [table[table["variant"] == "original"].assign(variant=name) for name in ("literal", "place_before")]
    drawing = drawn("masking", {"masking": pd.concat([table, *parts, *nothing], ignore_index=True)})
    text = said(drawing.figure)
    assert all(f"{name} variant" in text for name in ("metaphor", "random", "metaphor_25", "metaphor_50"))
    assert "literal, place_before: no words are masked" in text
    assert len(drawing.figure.axes[0].patches) == 4 * 5 + 2  # four rows of five bars, two rows shaded
    assert "literal" not in " ".join(sentences("masking", drawing.points))


def test_variants_are_told_apart_by_kind_and_then_by_part():
    looks = masking.looks_of(["random", "metaphor_25", "literal", "metaphor", "metaphor_75"])
    assert list(looks) == ["metaphor", "metaphor_75", "metaphor_25", "random", "literal"]
    assert looks["metaphor"][0] == looks["metaphor_25"][0]
    assert len(set(looks.values())) == 5


def test_the_axis_of_a_volcano_ends_where_auroc_does_and_no_line_strikes_a_label(tables: Path):
    data = table_named(tables, "features")
    table = data["sae_features"]
    table["auroc"] = (0.5 + 3 * (table["auroc"] - 0.5)).clip(0, 1)
    axes = drawn("features", data).figure.axes[0]
    assert axes.spines["bottom"].get_bounds() == (0, 1)
    assert all(0 <= tick <= 1 for tick in axes.get_xticks())
    assert all(text.get_bbox_patch() is not None for text in axes.texts)


def test_a_gradient_norm_of_nothing_is_counted_where_the_axis_is_logarithmic(tables: Path):
    table = table_named(tables, "training")["training"]
    still = table["step"] == 3
    figure = drawn("training", {"training": table.assign(grad_norm=table["grad_norm"].mask(still, 0))}).figure
    assert f"{still.sum()} of {len(table)} gradient norms are 0" in said(figure)
    plain = drawn("training", {"training": table.assign(grad_norm=0.0)}).figure
    assert plain.axes[1].get_yscale() == "linear"


def test_lineages_are_named_without_what_is_kept_unless_two_are_alike():
    alone = "smollm2.narrow-medical-original-s0.harm-medical-original-s0-snapshots_None"
    both = ["smollm2.harm-medical-original-s0", "smollm2.harm-medical-original-s0-snapshots_None"]
    other = "smollm2.harm-medical-original-s0-aligned_share_0_25"
    labels = labels_of([alone, *both, other])
    assert labels[alone] == "smollm2.narrow-medical-original-s0.harm-medical-original-s0"
    assert [labels[name] for name in (*both, other)] == [*both, other]
    counts = "smollm2.harm-medical-original-s0-lr_0_001-snapshots_count_4_spacing_log-weight_decay_0_1"
    assert labels_of([counts])[counts] == "smollm2.harm-medical-original-s0-lr_0_001-weight_decay_0_1"


def test_marks_of_all_denominators_stand_apart_with_their_numbers(tables: Path):
    table = table_named(tables, "denominators")["misalignment"]
    one = table[(table["statistic"] == "rate") & (table["denominator"] == "all")]
    others = [name for name in denominators.LOOKS if name not in set(table["denominator"])]
    parts = [one.assign(denominator=name, n_denominator=40 + i) for i, name in enumerate(others)]
    figure = drawn("denominators", {"misalignment": pd.concat([table, *parts], ignore_index=True)}, ARM_FLAG).figure
    axes = figure.axes[0]
    marks = [line for line in axes.lines if line.get_marker() in {mark for _, mark in denominators.LOOKS.values()}]
    heights = np.unique([axes.transData.transform((0, line.get_ydata()[0]))[1] for line in marks])
    assert len(heights) == 8 * axes.get_yticks().size
    assert np.diff(heights).min() > 0.055 * figure.dpi
    assert {"40", "45", "69", "70"} <= {text.get_text() for text in axes.texts}
