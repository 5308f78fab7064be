"""``python -m tropism.geometry``: compare steering vectors, your own or those of an experiment's arms."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.config.geometry import AnalysisConfig
from tropism.records.files import InputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
PRINTED = 40


@app.callback()
def main() -> None:
    """Compare steering vectors."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("fontTools").setLevel(logging.WARNING)


@app.command()
def analyse(
    vectors: Annotated[Path, typer.Argument(help="safetensors: one tensor a vector, or one row of it a prompt.")],
    clusters: Annotated[Path, typer.Option(help="YAML: cluster -> list of tensors.")],
    output: Annotated[Path, typer.Option(help="Folder for tables and figures.")],
    layers: Annotated[
        Path | None, typer.Option(help="safetensors of the same names: one row a layer, for layer traces.")
    ] = None,
    config: Annotated[str, typer.Option(help="draws, nulls, confidence, seed as JSON.")] = "{}",
    figures: Annotated[bool, typer.Option(help="Draw figures too.")] = True,
) -> None:
    """Write tables and figures about the vectors, and print what they amount to."""
    from tropism.geometry.report import write_analysis

    try:
        settings = AnalysisConfig.parse(config)
        table = write_analysis(vectors, clusters, layers, output, settings)
        if figures:
            from tropism.geometry.draw import draw_analysis

            draw_analysis(output, traced=layers is not None)
    except (InputError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    lines = [*table.loc[table["headline"], "verdict"]]
    for line in lines[:PRINTED]:
        typer.echo(line)
    typer.echo(f"{len(table) - min(len(lines), PRINTED)} more in {output / 'geometry_tests.csv'}")


BaseOption = Annotated[Path, typer.Option(help="Folder of the base model.")]
ConfigOption = Annotated[str, typer.Option(help="The `geometry` settings as JSON.")]
ModelOption = Annotated[str, typer.Option(help="ModelConfig as JSON.")]
HarmfulOption = Annotated[list[Path], typer.Option(help="Set of prompts on a harmful topic; repeat it.")]
AdapterOption = Annotated[Path | None, typer.Option(help="The arm's LoRA adapter; the base itself without.")]


@app.command()
def read(
    arms: Annotated[str, typer.Option(help="JSON: the folder of each arm's adapter by its name; null for the base.")],
    base: BaseOption,
    config: Annotated[str, typer.Option(help="The `geometry` settings of prompts as JSON.")],
    model_config: ModelOption,
    harmful: HarmfulOption,
    states: Annotated[Path, typer.Option(help="Folder for ARM.safetensors; what is there and still right is kept.")],
    output: Annotated[Path, typer.Option(help="What was read, JSON.")],
    neutral: Annotated[list[Path] | None, typer.Option(help="Set of neutral prompts; repeat it.")] = None,
    code: Annotated[str, typer.Option(help="Fingerprint of the code: states of other code are read again.")] = "",
) -> None:
    """Read texts with arms of one base and keep each one's mean states at every layer."""
    from tropism.config.geometry import PartsConfig
    from tropism.config.models import ModelConfig
    from tropism.geometry.states import read_arms
    from tropism.records.files import parse_json, write_json

    adapters = {name: Path(folder) if folder else None for name, folder in parse_json(arms, "--arms").items()}
    settings, model = PartsConfig.parse(config), ModelConfig.parse(model_config)
    write_json(output, read_arms(adapters, base, settings, model, harmful, neutral or [], states, code))


@app.command()
def choose(
    base: BaseOption,
    config: ConfigOption,
    model_config: ModelOption,
    harmful: HarmfulOption,
    states: Annotated[list[Path], typer.Option(help="List of arms' states, as `read` wrote it; repeat it.")],
    vectors: Annotated[Path, typer.Option(help="Vectors to write.")],
    layers: Annotated[Path, typer.Option(help="Vectors of every layer to write.")],
    clusters: Annotated[Path, typer.Option(help="Clusters to write, YAML.")],
    output: Annotated[Path, typer.Option(help="Table to write.")],
) -> None:
    """Make each arm's vector, at the layer where vectors steer the base most on validation prompts."""
    from tropism.config.geometry import SteeringConfig
    from tropism.config.models import ModelConfig
    from tropism.geometry.choose import write_vectors
    from tropism.records.kept import of_arms

    settings = SteeringConfig.parse(config)
    given = of_arms(states, [*settings.arms, settings.base], "states")
    write_vectors(
        base, settings, ModelConfig.parse(model_config), harmful, given, given[settings.base],
        vectors, layers, clusters, output,
    )  # fmt: skip


@app.command()
def steer(
    arm: Annotated[str, typer.Option(help="Name of the target arm.")],
    base: BaseOption,
    config: ConfigOption,
    model_config: ModelOption,
    harmful: HarmfulOption,
    vectors: Annotated[Path, typer.Option(help="Vectors with the layer that they belong to.")],
    output: Annotated[Path, typer.Option(help="Scores to write, Parquet.")],
    generations: Annotated[Path, typer.Option(help="Responses under every condition, JSONL; none without `samples`.")],
    adapter: AdapterOption = None,
) -> None:
    """Add every vector to an arm, and random ones beside them, and score the reported prompts."""
    from tropism.config.geometry import SteeringConfig
    from tropism.config.models import ModelConfig
    from tropism.geometry.choose import score_target
    from tropism.records.files import replacing, write_jsonl

    settings, model = SteeringConfig.parse(config), ModelConfig.parse(model_config)
    table, responses = score_target(arm, base, adapter, settings, model, harmful, vectors)
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)
    write_jsonl(generations, responses)


@app.command()
def transfer(
    scores: Annotated[list[Path], typer.Option(help="Scores of a target; repeat it.")],
    config: ConfigOption,
    output: Annotated[Path, typer.Option(help="Table of transfer to write.")],
    doses: Annotated[Path, typer.Option(help="Table of doses and responses to write.")],
    judgments: Annotated[
        list[Path] | None, typer.Option(help="Judgments of the targets' responses, in the targets' order; repeat it.")
    ] = None,
    calibration: Annotated[list[Path] | None, typer.Option(help="Calibration of the judge; repeat it.")] = None,
) -> None:
    """Tabulate what vectors do to targets."""
    import pandas as pd

    from tropism.config.geometry import SteeringConfig
    from tropism.geometry.tables import DOSE_SCHEMA, TRANSFER_SCHEMA
    from tropism.geometry.transfer import NOBODY, dose_table, judged, transfer_table
    from tropism.records.calibration import read_calibrations
    from tropism.records.files import write_table

    if judgments and len(judgments) != len(scores):
        raise InputError(f"{len(judgments)} files of judgments for {len(scores)} of scores; give one for each")
    settings, calibrations = SteeringConfig.parse(config), read_calibrations(calibration or [])
    targets = [pd.read_parquet(path) for path in scores]
    said = [
        judged(pd.read_parquet(path), table, calibrations)
        for path, table in zip(judgments or [], targets, strict=False)
    ]
    likelihoods = [table.assign(judge=NOBODY, n_responses=float("nan")) for table in targets]
    measured = pd.concat([*likelihoods, *said], ignore_index=True)
    write_table(output, transfer_table(measured, settings), TRANSFER_SCHEMA)
    write_table(doses, dose_table(measured, settings), DOSE_SCHEMA)


if __name__ == "__main__":
    run(app)
