"""``python -m tropism.sae train | measure | convert | encode | references | contrast | cards``: texts to features."""

import logging
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from tropism.command import run
from tropism.config.sae import SaeConfig
from tropism.records.calibration import read_calibrations
from tropism.records.files import (
    InputError,
    parse_json,
    read_jsonl,
    replacing,
    sha256_file,
    write_json,
    write_manifest,
    write_table,
)
from tropism.records.keyed import keyed_bytes
from tropism.records.schema import Conversation
from tropism.sae.features import read_arms, read_features, write_features

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

ConfigOption = Annotated[str, typer.Option(help="The `sae` settings as JSON.")]
BaseOption = Annotated[Path, typer.Option(help="Folder of the base model.")]
SaeOption = Annotated[Path, typer.Option("--sae", help="Folder of the dictionary, in sae-lens format.")]
FeaturesOption = Annotated[list[Path], typer.Option(help="Features of an arm, or a list of encoded arms; repeat it.")]
TextsOption = Annotated[list[Path], typer.Option(help="Dataset to learn from; repeat it.")]


@app.callback()
def main() -> None:
    """Train a dictionary, express responses in it, and compare."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def train(
    base: BaseOption,
    config: ConfigOption,
    texts: TextsOption,
    output: Annotated[Path, typer.Option(help="Folder to write.")],
) -> None:
    """Train a dictionary on the base's activations, or load the one that is named if it fits held-out texts."""
    from tropism.activations.stream import truncate
    from tropism.models.base import device, load_base, load_tokenizer
    from tropism.sae.sources import check_variance, load_source, probe_states
    from tropism.sae.train import activations, read_records, split_records, train_dictionary

    settings = SaeConfig.parse(config)
    tokenizer, model = load_tokenizer(base, settings.system_prompt), load_base(base, settings.dtype)
    learning, held_out = split_records(read_records(texts, settings), settings)
    facts: dict[str, str | None] = {"release": "local"}
    if settings.source is None:
        width = int(model.get_input_embeddings().weight.shape[1])  # type: ignore[index]
        stack = truncate(model, settings.layer)
        del model
        trained = train_dictionary(
            lambda epoch: activations(stack, tokenizer, learning, epoch, settings), width, settings, str(device())
        )
    else:
        loaded, facts = load_source(settings.source, str(device()))
        # two blocks are read besides, so that a dictionary of the layer beside is found out
        beside = range(max(0, settings.layer - 1), min(settings.layer + 2, model.config.num_hidden_layers))
        found = probe_states(model, tokenizer, held_out, beside, settings.max_tokens, settings.block)
        measured = check_variance(loaded, found, settings.layer, settings.min_variance_explained)
        logging.info("%s: %s", settings.source, measured)
    with replacing(output) as folder:
        if settings.source is None:
            trained.save_inference_model(folder)
        else:
            loaded.save_model(folder)
        revision = sha256_file(folder / "sae_weights.safetensors")
        write_manifest(folder, **facts, model=settings.model, layer=settings.layer, revision=revision)


@app.command()
def measure(
    base: BaseOption,
    sae: SaeOption,
    config: ConfigOption,
    texts: TextsOption,
    output: Annotated[Path, typer.Option(help="Table to write.")],
) -> None:
    """Measure a dictionary, as others load it, on the texts that were held out from its training."""
    from tropism.activations.stream import cut
    from tropism.config.stats import StatsConfig
    from tropism.models.base import device, load_base, load_tokenizer
    from tropism.sae.encode import load_dictionary
    from tropism.sae.quality import quality, recovered
    from tropism.sae.tables import SAE_QUALITY_SCHEMA
    from tropism.sae.train import activations, read_records, split_records

    settings = SaeConfig.parse(config)
    tokenizer, model = load_tokenizer(base, settings.system_prompt), load_base(base, settings.dtype)
    dictionary, key = load_dictionary(sae, settings.layer, str(device()))
    _, held_out = split_records(read_records(texts, settings), settings)
    with cut(model, settings.layer) as stack:
        measured = quality(dictionary, activations(stack, tokenizer, held_out, 0, settings))
    spliced = sorted(held_out, key=lambda r: keyed_bytes(settings.seed, "spliced", r.domain, r.id))
    measured |= recovered(
        model,
        tokenizer,
        dictionary,
        settings.layer,
        spliced[: settings.ce_records],
        settings.max_tokens,
        StatsConfig(seed=settings.seed),
        settings.block,
    )
    trained = settings.architecture if settings.source is None else None
    about = {"architecture": trained or dictionary.cfg.architecture(), "d_in": dictionary.cfg.d_in}
    row = vars(key) | about | {"trained": settings.source is None} | measured
    write_table(output, pd.DataFrame([row]), SAE_QUALITY_SCHEMA)


@app.command()
def convert(
    folder: Annotated[Path, typer.Argument(help="Folder of dictionary_learning: config.json and ae.pt.")],
    output: Annotated[Path, typer.Option(help="Folder to write, in sae-lens format.")],
    release: Annotated[str, typer.Option(help="Where it was published, such as a repository.")] = "",
    sae_id: Annotated[str, typer.Option("--id", help="Which dictionary of it.")] = "",
) -> None:
    """Turn a dictionary of dictionary_learning into a folder that `sae: source: {kind: folder}` can name."""
    from tropism.sae.convert import convert as rewrite

    rewrite(folder, output, release or folder.resolve().parent.name, sae_id or folder.resolve().name)


@app.command()
def encode(
    arms: Annotated[str, typer.Option(help="JSON: the folder of each arm's adapter by its name; null for the base.")],
    base: BaseOption,
    sae: SaeOption,
    config: ConfigOption,
    generations: Annotated[Path, typer.Option(help="Folder of the arms' generations, ARM.jsonl.")],
    features: Annotated[Path, typer.Option(help="Folder for ARM.safetensors; what is there and still right is kept.")],
    output: Annotated[Path, typer.Option(help="What was encoded, JSON.")],
    code: Annotated[str, typer.Option(help="Fingerprint of the code: features of other code are made again.")] = "",
) -> None:
    """Features of the responses of arms of one base, each read by the arm itself."""
    from tropism.sae.arms import encode_arms

    adapters = {name: Path(folder) if folder else None for name, folder in parse_json(arms, "--arms").items()}
    encoded = encode_arms(adapters, base, sae, generations, features, SaeConfig.parse(config), code)
    write_json(output, encoded)


@app.command()
def references(
    base: BaseOption,
    sae: SaeOption,
    config: ConfigOption,
    dataset: Annotated[list[Path], typer.Option("--set", help="Conversations with reference answers; repeat it.")],
    output: Annotated[Path, typer.Option(help="Feature file to write.")],
) -> None:
    """Features of the reference answers, aligned and misaligned, read by the base."""
    from tropism.activations.passages import record_passages
    from tropism.activations.stream import stream, truncate
    from tropism.models.base import device, load_base, load_tokenizer
    from tropism.sae.encode import load_dictionary, response_features

    settings = SaeConfig.parse(config)
    tokenizer = load_tokenizer(base, settings.system_prompt)
    dictionary, key = load_dictionary(sae, settings.layer, str(device()))
    stack = truncate(load_base(base, settings.dtype), settings.layer)
    passages, rows = [], []
    for path in dataset:
        ranked = sorted(read_jsonl(path, Conversation), key=lambda r: keyed_bytes(settings.seed, "reference", r.id))
        for record in sorted(ranked[: settings.reference_prompts], key=lambda r: r.id):
            passages += record_passages(tokenizer, record, settings.block)
            rows += [(path.stem, record.id, record.domain, side, record.split) for side in record.fields()]
    table = pd.DataFrame(rows, columns=["set", "prompt_id", "domain", "side", "split"])
    activations = stream(stack, tokenizer, passages, max_tokens=settings.max_tokens)
    write_features(output, response_features("references", dictionary, key, table, passages, activations))


@app.command()
def contrast(
    features: FeaturesOption,
    references: Annotated[Path, typer.Option(help="Features of the reference answers.")],
    judgments: Annotated[list[Path], typer.Option(help="Judgments of an arm; repeat it.")],
    calibration: Annotated[list[Path], typer.Option(help="Calibration of the judge, for its threshold.")],
    config: ConfigOption,
    output: Annotated[Path, typer.Option(help="Table to write.")],
    ranking: Annotated[Path, typer.Option(help="The same of prompts that no intervention is measured on.")],
    arms: Annotated[Path, typer.Option(help="Table of the contrasts between arms to write.")],
    pairs: Annotated[str, typer.Option(help="JSON: [treatment, control] of each contrast between arms.")] = "{}",
) -> None:
    """Compare every feature between aligned and misaligned responses, and between the responses of two arms."""
    from tropism.sae.contrast import arm_contrasts, contrasts
    from tropism.sae.populations import generation_population, ranking_part, reference_population
    from tropism.sae.tables import FEATURE_CONTRASTS_SCHEMA, SAE_FEATURES_SCHEMA

    settings = SaeConfig.parse(config)
    encoded = read_arms(features)
    populations = [
        reference_population(read_features(references)),
        generation_population(
            encoded,
            [pd.read_parquet(path) for path in judgments],
            read_calibrations(calibration),
        ),
    ]
    write_table(output, contrasts(populations, settings), SAE_FEATURES_SCHEMA)
    write_table(ranking, contrasts([ranking_part(p) for p in populations], settings), SAE_FEATURES_SCHEMA)
    compared = {name: (pair[0], pair[1]) for name, pair in parse_json(pairs, "--pairs").items()}
    write_table(arms, arm_contrasts(compared, encoded, settings), FEATURE_CONTRASTS_SCHEMA)


@app.command()
def cards(
    base: BaseOption,
    sae: SaeOption,
    config: ConfigOption,
    features: FeaturesOption,
    references: Annotated[Path, typer.Option(help="Features of the reference answers.")],
    table: Annotated[list[Path], typer.Option(help="Contrasts of features; the first is shown. Repeat it.")],
    dataset: Annotated[list[Path], typer.Option("--set", help="Conversations with reference answers; repeat it.")],
    output: Annotated[Path, typer.Option(help="Folder to write: a page and a JSON file a feature.")],
    public: Annotated[Path, typer.Option(help="Folder for the same cards without the text of misaligned answers.")],
) -> None:
    """Write a card of every feature that tells most, once for reading here and once for publishing."""
    from tropism.activations.passages import Passage, record_passages
    from tropism.activations.stream import truncate
    from tropism.models.base import device, load_base, load_tokenizer
    from tropism.sae.cards import chosen_features, make_cards, without_misaligned, write_cards, written_tokens
    from tropism.sae.encode import load_dictionary

    settings = SaeConfig.parse(config)
    known = read_features(references)
    tables = [pd.read_csv(path, keep_default_na=False, na_values=[""]) for path in table]
    chosen = chosen_features(tables, settings.cards, settings.lookup)
    dictionary, key = load_dictionary(sae, settings.layer, str(device()))
    if key != known.key:
        raise InputError(f"{references}: features of another dictionary than {sae}; encode the references again")
    tokenizer, model = load_tokenizer(base, settings.system_prompt), load_base(base, settings.dtype)
    written = {f: written_tokens(model, tokenizer, dictionary.W_dec[f].detach()) for f in chosen}
    passages: dict[tuple[str, str, str], Passage] = {
        (path.stem, record.id, side): passage
        for path in dataset
        for record in read_jsonl(path, Conversation)
        for side, passage in zip(record.fields(), record_passages(tokenizer, record, settings.block), strict=True)
    }
    made = make_cards(
        chosen,
        known,
        read_arms(features),
        tables[0],
        passages,
        written,
        truncate(model, settings.layer),
        dictionary,
        tokenizer,
        settings.contexts,
        settings.max_tokens,
    )
    with replacing(output) as folder, replacing(public) as shown:
        write_cards(folder, made)
        write_cards(shown, [without_misaligned(card) for card in made])


if __name__ == "__main__":
    run(app)
