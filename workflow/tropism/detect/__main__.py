"""``python -m tropism.detect train | save | score | words``: a detector, its controls, and its use on new text."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from pydantic import BaseModel, ConfigDict

from tropism.command import run
from tropism.config.detector import DetectorConfig
from tropism.detect.evaluate import evaluate
from tropism.detect.saved import Detector, save_detector
from tropism.detect.tables import CURVES_SCHEMA, DETECTOR_SCHEMA
from tropism.detect.texts import generation_texts, reference_texts, with_margins, with_texts
from tropism.records.calibration import read_calibrations
from tropism.records.files import InputError, read_jsonl, replacing, write_manifest, write_table
from tropism.records.schema import Generation
from tropism.sae.features import read_arms, read_features
from tropism.sae.populations import Population, generation_population, reference_population

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

FeaturesOption = Annotated[list[Path], typer.Option(help="Features of an arm, or a list of encoded arms; repeat it.")]
ReferencesOption = Annotated[Path, typer.Option(help="Features of the reference answers.")]
JudgmentsOption = Annotated[list[Path], typer.Option(help="Judgments of an arm; repeat it.")]
CalibrationOption = Annotated[list[Path], typer.Option(help="Calibration of the judge, for its threshold.")]
ConfigOption = Annotated[str, typer.Option(help="The `detector` settings as JSON.")]


class Response(BaseModel):
    """A line of text to score: a prompt and its answer; other keys of a generation are allowed and not read."""

    model_config = ConfigDict(extra="ignore")
    prompt: str
    answer: str
    reasoning: str = ""


@app.callback()
def main() -> None:
    """Detect misaligned responses by their features."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def _populations(
    features: list[Path], references: Path, judgments: list[Path], calibration: list[Path]
) -> list[Population]:
    written = reference_population(read_features(references))
    scores = [pd.read_parquet(path) for path in judgments]
    calibrations = read_calibrations(calibration)
    return [written, generation_population(read_arms(features), scores, calibrations)]


@app.command()
def train(
    features: FeaturesOption,
    references: ReferencesOption,
    judgments: JudgmentsOption,
    calibration: CalibrationOption,
    generations: Annotated[list[Path], typer.Option(help="Generations of an arm; repeat it.")],
    sets: Annotated[list[Path], typer.Option(help="Dataset of the reference answers; repeat it.")],
    config: ConfigOption,
    output: Annotated[Path, typer.Option(help="Table to write.")],
    curves: Annotated[Path, typer.Option(help="Table of curve points to write.")],
    likelihoods: Annotated[
        list[Path] | None, typer.Option(help="Likelihoods of an arm, for the baseline without a judge; repeat it.")
    ] = None,
) -> None:
    """Train and test the detector on reference answers and on judged generations."""
    settings = DetectorConfig.parse(config)
    written, sampled = _populations(features, references, judgments, calibration)
    sampled = with_margins(with_texts(sampled, generation_texts(generations)), likelihoods or [])
    populations = [with_texts(written, reference_texts(sets)), sampled]
    table, points = evaluate(populations, settings)
    write_table(output, table, DETECTOR_SCHEMA)
    write_table(curves, points, CURVES_SCHEMA)


@app.command()
def save(
    features: FeaturesOption,
    references: ReferencesOption,
    judgments: JudgmentsOption,
    calibration: CalibrationOption,
    table: Annotated[Path, typer.Option(help="The table detector, which goes on the card.")],
    config: ConfigOption,
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    system_prompt: Annotated[str | None, typer.Option(help="What the base was told where it read them.")] = None,
) -> None:
    """Fit one detector on everything and keep it, with a card of what was tested."""
    settings = DetectorConfig.parse(config)
    rows = pd.read_csv(table, keep_default_na=False, na_values=[""])
    with replacing(output) as folder:
        folder.mkdir(exist_ok=True)
        populations = _populations(features, references, judgments, calibration)
        save_detector(folder, populations, rows, settings, system_prompt)
        write_manifest(folder)


@app.command()
def score(
    detector: Annotated[Path, typer.Option(help="Folder written by `save`.")],
    responses: Annotated[Path, typer.Option(help="JSONL with prompt and answer, such as generations.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model that reads them.")],
    sae: Annotated[Path, typer.Option("--sae", help="Folder of the dictionary that the detector was trained with.")],
    output: Annotated[Path, typer.Option(help="CSV to write: line, tokens, probability, misaligned.")],
    adapter: Annotated[Path | None, typer.Option(help="LoRA adapter of the arm that reads them, if it is one.")] = None,
    dtype: str = "float32",
    max_tokens: int = 2048,
) -> None:
    """Score new responses: the probability that each is misaligned; empty for one without a token."""
    from tropism.activations.passages import generation_passage
    from tropism.activations.stream import stream, truncate
    from tropism.models.base import device, load_arm, load_tokenizer
    from tropism.sae.encode import load_dictionary, response_features

    kept = Detector.load(detector)
    asked = read_jsonl(responses, Response)
    if not asked:
        raise InputError(f"{responses}: no response to score")
    dictionary, key = load_dictionary(sae, kept.key.layer, str(device()))
    if key != kept.key:
        raise InputError(
            f"{sae}: not the dictionary of {detector}, which is {kept.key.sae_id} ({kept.key.revision[:12]});"
            " a feature's index means nothing in another"
        )
    tokenizer = load_tokenizer(base, kept.system_prompt)
    rows = [
        Generation(
            arm="", set="", prompt_id=str(line), domain="", sample=0, prompt=r.prompt, reasoning=r.reasoning,
            answer=r.answer, n_tokens=0, finish="stop", seed=0,
        )
        for line, r in enumerate(asked, start=1)
    ]  # fmt: skip
    passages = [generation_passage(tokenizer, row) for row in rows]
    stack = truncate(load_arm(base, adapter, dtype), key.layer)
    activations = stream(stack, tokenizer, passages, max_tokens=max_tokens)
    lines = pd.DataFrame({"line": range(1, len(rows) + 1)})
    parts = response_features("responses", dictionary, key, lines, passages, activations).parts["answer"]
    probability = pd.Series(kept.probabilities(parts.measure(kept.pooling))).where(parts.tokens > 0)
    table = lines.assign(
        tokens=parts.tokens,
        probability=probability,
        misaligned=(probability >= kept.threshold).where(probability.notna()),
    )
    with replacing(output) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


@app.command()
def words(
    judgments: Annotated[list[Path], typer.Option(help="Judgments; repeat it.")],
    generations: Annotated[list[Path], typer.Option(help="The generations that were judged; repeat it.")],
    output: Annotated[Path, typer.Option(help="Table to write.")],
    curves: Annotated[Path, typer.Option(help="Table of curve points to write.")],
    judge: Annotated[str, typer.Option(help="Whose labels to take, where several judged.")] = "",
    rubric: Annotated[str, typer.Option(help="The rubric that labels responses.")] = "alignment100",
    calibration: Annotated[list[Path], typer.Option(help="Calibration of the judge, or a folder of them.")] = [],  # noqa: B006
    config: Annotated[str, typer.Option(help="The `detector` settings as JSON.")] = "{}",
) -> None:
    """Test what words, length and domain alone tell, where there are no features; no model is needed."""
    from tropism.detect.words import evaluate_words, labelled_texts

    settings = DetectorConfig.parse(config)
    judged = pd.concat([pd.read_parquet(path) for path in judgments], ignore_index=True)
    judged = judged[judged["judge"] == judge] if judge else judged
    rows = labelled_texts(generations, judged, read_calibrations(calibration), rubric)
    table, points = evaluate_words(rows, settings)
    write_table(output, table, DETECTOR_SCHEMA)
    write_table(curves, points, CURVES_SCHEMA)


if __name__ == "__main__":
    run(app)
