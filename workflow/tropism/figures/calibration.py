"""Calibration of the detectors: what share is misaligned among responses that were given a probability."""

from tropism.figures import canvas
from tropism.figures.canvas import Arms, Drawing, Plot, Tables

GROUPED = "grouped cross-validation"
COLUMNS = ["population", "evidence", "model", "k", "curve", "point", "x", "y", "n", "low", "high"]
SCORES = ["population", "evidence", "model", "k", "brier", "brier_low", "brier_high", "base_rate"]
POPULATIONS = {"references": "reference answers", "generations": "the arms' responses"}


def draw(tables: Tables, arms: Arms) -> Drawing:
    """A line of panels a population, one for each number of features; areas grow with the responses in a bin."""
    curves, scores = tables["detector_curves"], tables["detector"]
    chosen = (curves["curve"] == "reliability") & (curves["evidence"] == GROUPED) & (curves["model"] == "sae")
    points = curves.loc[chosen, COLUMNS].reset_index(drop=True)
    populations = [name for name in POPULATIONS if name in set(points["population"])]
    if not populations:
        return canvas.in_words("No detector was cross-validated: too few aligned or misaligned responses.", points)
    ks = sorted(set(points["k"]))
    figure = canvas.page(canvas.DOUBLE, 1.75 * len(populations) + 0.5)
    panels = figure.subplots(len(populations), len(ks), squeeze=False, sharex=True, sharey=True)
    for line, population in zip(panels, populations, strict=True):
        for axes, k in zip(line, ks, strict=True):
            rows = points[(points["population"] == population) & (points["k"] == k)]
            axes.axline((0, 0), slope=1, color=canvas.FAINT, linewidth=0.6, linestyle=":")
            axes.vlines(rows["x"], rows["low"], rows["high"], color=canvas.BLUE, linewidth=0.9)
            axes.plot(rows["x"], rows["y"], color=canvas.BLUE, linewidth=0.6)
            axes.scatter(
                rows["x"], rows["y"], s=3 + rows["n"] / max(rows["n"].max(), 1) * 23, color=canvas.BLUE, linewidth=0
            )
            own = scores[(scores["population"] == population) & (scores["evidence"] == GROUPED)]
            own = own[(own["model"] == "sae") & (own["k"] == k)].iloc[0]
            ends = own[["brier_low", "brier_high"]]
            interval = "" if ends.isna().any() else f" [{own['brier_low']:.3f}, {own['brier_high']:.3f}]"
            axes.set_title(f"{POPULATIONS[population]}, k = {k}\nBrier {own['brier']:.3f}{interval}")
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
        line[0].set_ylabel("share misaligned")
    for axes in panels[-1]:
        axes.set_xlabel("probability given")
    canvas.legend_below(figure, [canvas.key("perfectly calibrated", canvas.FAINT, line=":")], 1)
    return Drawing(figure, points)


PLOT = Plot({"detector_curves": COLUMNS, "detector": SCORES}, draw)
