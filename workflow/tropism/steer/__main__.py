"""``python -m tropism.steer intervene | tabulate``: from features that go with misalignment to those that cause it."""

import json
import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from tropism.command import run
from tropism.config.models import ModelConfig
from tropism.config.steer import SteerConfig
from tropism.records.calibration import read_calibrations
from tropism.records.files import InputError, read_jsonl, replacing, write_jsonl, write_table
from tropism.records.schema import Conversation
from tropism.sae.features import DictionaryKey, read_features
from tropism.sae.populations import ranking_part, reference_population

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

ConfigOption = Annotated[str, typer.Option(help="The `steer` settings as JSON.")]


@app.callback()
def main() -> None:
    """Intervene on features."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def intervene(
    arm: Annotated[str, typer.Option(help="Name of the arm.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    sae: Annotated[Path, typer.Option("--sae", help="Folder of the dictionary.")],
    references: Annotated[Path, typer.Option(help="Features of the reference answers.")],
    ranking: Annotated[Path, typer.Option(help="Contrasts of features on prompts that are not measured here.")],
    config: ConfigOption,
    model_config: Annotated[str, typer.Option(help="ModelConfig as JSON.")],
    sets: Annotated[list[Path], typer.Option("--set", help="An eval set; repeat it.")],
    output: Annotated[Path, typer.Option(help="Outcomes by prompt, Parquet.")],
    generations: Annotated[Path, typer.Option(help="Responses under every condition, JSONL.")],
    doses: Annotated[list[float], typer.Option("--dose", help="Below 0 suppresses, above 0 amplifies; repeat it.")],
    adapter: Annotated[Path | None, typer.Option(help="The arm's LoRA adapter; the base itself without.")] = None,
) -> None:
    """Measure an arm untouched and under every intervention at every dose."""
    import torch

    from tropism.models.base import device, load_arm, load_tokenizer
    from tropism.sae.encode import load_dictionary
    from tropism.steer.hooks import mean_difference
    from tropism.steer.measure import Subject, choose_prompts
    from tropism.steer.measure import intervene as put_through
    from tropism.steer.plan import conditions, targets

    settings = SteerConfig.parse(config, "steer")
    known = reference_population(read_features(references))
    dictionary, key = load_dictionary(sae, known.key.layer, str(device()))
    if key != known.key:
        raise InputError(f"{references}: features of another dictionary than {sae}; encode the references again")
    decoder_norms = dictionary.W_dec.detach().float().norm(dim=1).cpu().numpy()
    rows = pd.read_csv(ranking, keep_default_na=False, na_values=[""])
    # typical activations and the direction are learned on the train split alone; interventions are measured on the rest
    learned = ranking_part(known)
    plan = targets(rows, key, learned.features, decoder_norms, settings)
    state, read = torch.from_numpy(learned.features.state), learned.features.tokens > 0
    aligned, misaligned = state[read & ~learned.misaligned], state[read & learned.misaligned]
    model_settings = ModelConfig.parse(model_config, "models")
    subject = Subject(
        arm,
        load_arm(base, adapter, model_settings.dtype),
        load_tokenizer(base, model_settings.system_prompt),
        key.layer,
        dictionary,
        mean_difference(misaligned, aligned),
        aligned.double().mean(dim=0).float(),
    )
    prompts = choose_prompts([(path.stem, read_jsonl(path, Conversation)) for path in sets], settings)
    outcomes, responses = put_through(subject, conditions(plan, doses), prompts, settings, model_settings)
    outcomes.attrs = {"dictionary": json.dumps(vars(key), sort_keys=True)}
    with replacing(output) as temporary:
        outcomes.to_parquet(temporary, index=False)
    write_jsonl(generations, responses)


@app.command()
def tabulate(
    outcomes: Annotated[list[Path], typer.Option(help="Outcomes of an arm; repeat it.")],
    config: ConfigOption,
    output: Annotated[Path, typer.Option(help="Table to write.")],
    judgments: Annotated[
        list[Path] | None, typer.Option(help="Judgments of the arms' responses, in the arms' order; repeat it.")
    ] = None,
    calibration: Annotated[list[Path] | None, typer.Option(help="Calibration of the judge; repeat it.")] = None,
) -> None:
    """Write ``interventions.csv``: effects, controls, verdicts."""
    from tropism.steer.effects import TARGET, effects
    from tropism.steer.judged import judged_outcomes
    from tropism.steer.plan import condition_name
    from tropism.steer.tables import INTERVENTIONS_SCHEMA

    settings = SteerConfig.parse(config, "steer")
    measured = [pd.read_parquet(path) for path in outcomes]
    keys = {table.attrs["dictionary"] for table in measured}
    if len(keys) > 1:
        raise InputError("outcomes of several dictionaries; give those of one")
    if judgments and len(judgments) != len(outcomes):
        raise InputError(f"{len(judgments)} files of judgments for {len(outcomes)} of outcomes; give one for each")
    calibrations = read_calibrations(calibration or [])
    judges: set[str] = set()
    tables = list(measured)
    for table, path in zip(measured, judgments or [], strict=False):
        scores = pd.read_parquet(path)
        judges |= set(scores["judge"])
        described = table[[*TARGET, "association", "peak", "edit_norm"]].drop_duplicates(TARGET)
        names = [condition_name(row.kind, row.feature, row.matched_to, row.dose) for row in described.itertuples()]
        tables.append(judged_outcomes(scores, described.assign(name=names), calibrations))
    key = DictionaryKey(**json.loads(keys.pop()))
    found = effects(pd.concat(tables, ignore_index=True), key, sorted(judges), settings)
    write_table(output, found, INTERVENTIONS_SCHEMA)
    logging.info("%s", found.loc[found["verdict"] != "", "verdict"].value_counts().to_dict())


if __name__ == "__main__":
    run(app)
