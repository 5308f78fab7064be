"""``python -m tropism.stats``: judgments and likelihoods into rates, contrasts, a second look at these, and trends."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.config.stats import Contrast, StatsConfig, TrendConfig
from tropism.records.calibration import Calibrations, check_stacks, read_calibrations
from tropism.records.files import InputError, parse_json, write_table
from tropism.stats.blocks import Block, build_blocks
from tropism.stats.contrasts import contrasts_table
from tropism.stats.rates import rates_table
from tropism.stats.read import parquet_files, read_responses
from tropism.stats.second_look import mixed_effects_table
from tropism.stats.tables import CONTRASTS_SCHEMA, MISALIGNMENT_SCHEMA, MIXED_EFFECTS_SCHEMA, TRENDS_SCHEMA
from tropism.stats.trends import trends_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Judgments = Annotated[list[Path], typer.Option(help="Judgments: a Parquet file, or a folder of them; repeatable.")]
Likelihoods = Annotated[list[Path], typer.Option(help="Likelihoods: a Parquet file, or a folder; repeatable.")]
Calibration = Annotated[
    list[Path],
    typer.Option(help="Calibration of a judge, or a folder of them; repeatable. Published thresholds without."),
]
Planned = Annotated[str, typer.Option(help="JSON list of {name, treatment, control, family}, or a file of it.")]
Groups = Annotated[
    str, typer.Option(help="JSON object: the arms of each group, which are one training with several seeds.")
]
Config = Annotated[str, typer.Option(help="The `stats` settings as JSON.")]
Output = Annotated[Path, typer.Option(help="CSV to write.")]


@app.callback()
def main() -> None:
    """Count, compare, and say how sure."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def rates(
    output: Output,
    judgments: Judgments = [],  # noqa: B006
    likelihoods: Likelihoods = [],  # noqa: B006
    calibration: Calibration = [],  # noqa: B006
    groups: Groups = "{}",
    config: Config = "{}",
    arms: Annotated[
        str | None, typer.Option(help="JSON list of the arms to count; all that are found if left out.")
    ] = None,
) -> None:
    """Write ``misalignment.csv``: rates and means of each arm, with intervals."""
    settings, members = _settings(config), _groups(groups)
    rows = read_responses(judgments, likelihoods, None if arms is None else _json_list(arms, "--arms"))
    logging.info("%d judged responses and likelihoods of %d arms", len(rows), rows["arm"].nunique())
    calibrations = read_calibrations(calibration)
    check_stacks(parquet_files(judgments), calibrations)
    _warn_of_chance(calibrations)
    write_table(output, rates_table(build_blocks(rows, calibrations), settings, members), MISALIGNMENT_SCHEMA)


@app.command()
def contrasts(
    output: Output,
    contrasts: Planned,
    judgments: Judgments = [],  # noqa: B006
    likelihoods: Likelihoods = [],  # noqa: B006
    calibration: Calibration = [],  # noqa: B006
    groups: Groups = "{}",
    config: Config = "{}",
) -> None:
    """Write ``contrasts.csv``: planned differences between arms, paired by prompt."""
    settings, planned, members = _settings(config), _contrasts(contrasts), _groups(groups)
    names = [name for contrast in planned for name in contrast.terms]
    blocks = _blocks(judgments, likelihoods, calibration, names, members)
    write_table(output, contrasts_table(blocks, planned, settings, members), CONTRASTS_SCHEMA)


@app.command()
def mixed(
    output: Output,
    contrasts: Planned,
    judgments: Judgments = [],  # noqa: B006
    calibration: Calibration = [],  # noqa: B006
    groups: Groups = "{}",
    config: Config = "{}",
) -> None:
    """Write ``mixed_effects.csv``: the contrasts of two arms again, by mixed-effects logistic regression."""
    settings, planned, members = _settings(config), _contrasts(contrasts), _groups(groups)
    names = [name for contrast in planned if not contrast.weights for name in contrast.terms]
    blocks = _blocks(judgments, [], calibration, names, members)
    write_table(output, mixed_effects_table(blocks, planned, settings, members), MIXED_EFFECTS_SCHEMA)


@app.command()
def trends(
    output: Output,
    trends: Annotated[str, typer.Option(help="JSON list of {name, x, points: [{arm, x}]}, or a file of it.")],
    judgments: Judgments = [],  # noqa: B006
    likelihoods: Likelihoods = [],  # noqa: B006
    calibration: Calibration = [],  # noqa: B006
    groups: Groups = "{}",
    config: Config = "{}",
) -> None:
    """Write ``trends.csv``: arms along a quantity, at the prompts that all of them answered."""
    settings, members = _settings(config), _groups(groups)
    planned = [TrendConfig.parse(item, f"trends.{i}") for i, item in enumerate(_json_list(trends, "--trends"))]
    names = [name for trend in planned for point in trend.points for name in (point.arm, point.control) if name]
    blocks = _blocks(judgments, likelihoods, calibration, names, members)
    write_table(output, trends_table(blocks, planned, settings, members), TRENDS_SCHEMA)


def _settings(config: str) -> StatsConfig:
    return StatsConfig.parse(config, "stats")


def _contrasts(text: str) -> list[Contrast]:
    return [Contrast.parse(item, f"contrasts.{i}") for i, item in enumerate(_json_list(text, "--contrasts"))]


def _groups(text: str) -> dict[str, list[str]]:
    groups = parse_json(text, "--groups")
    if not isinstance(groups, dict) or not all(isinstance(arms, list) and arms for arms in groups.values()):
        raise InputError("--groups: not a JSON object of lists of arms")
    return groups


def _blocks(
    judgments: list[Path],
    likelihoods: list[Path],
    calibration: list[Path],
    names: Sequence[str],
    groups: Mapping[str, Sequence[str]],
) -> list[Block]:
    """The blocks of the arms and groups that are named; none where nothing is."""
    arms = {arm for name in names for arm in groups.get(name, [name])}
    if not arms:
        return []
    found = read_calibrations(calibration)
    check_stacks(parquet_files(judgments), found)
    return build_blocks(read_responses(judgments, likelihoods, arms), found)


def _warn_of_chance(calibrations: Calibrations) -> None:
    for judge, one in calibrations.items():
        for rubric, read in one.rubrics.items():
            if read.beats_chance is False:
                logging.warning(
                    "judge %s is at chance on %s: it told %d misaligned from %d aligned references with an AUROC of"
                    " %.2f [%.2f, %.2f]. Its numbers are in the table, and none is a headline; take another judge",
                    *(judge, rubric, read.n_misaligned, read.n_aligned, read.auroc, read.auroc_low, read.auroc_high),
                )


def _json_list(text: str, where: str) -> list:
    if not text.lstrip().startswith("["):
        path = Path(text)
        if not path.is_file():
            raise InputError(f"{where}: neither a JSON list nor a file that holds one: {text[:80]}")
        text, where = path.read_text(encoding="utf-8"), str(path)
    value = parse_json(text, where)
    if not isinstance(value, list):
        raise InputError(f"{where}: not a JSON list")
    return value


if __name__ == "__main__":
    run(app)
