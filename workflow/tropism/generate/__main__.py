"""``python -m tropism.generate``: sample an arm's responses to the prompts of all eval sets."""

import logging
import shutil
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.config.evaluate import EvaluateConfig
from tropism.config.models import ModelConfig
from tropism.config.serving import ServingConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Generate responses."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def sample(
    arm: Annotated[str, typer.Option(help="Name of the arm, written into every row.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    model_config: Annotated[str, typer.Option(help="ModelConfig as JSON.")],
    config: Annotated[str, typer.Option(help="EvaluateConfig as JSON.")],
    sets: Annotated[list[Path], typer.Option("--set", help="An eval set; its name is the file's.")],
    output: Annotated[Path, typer.Option(help="Generations, JSONL.")],
    shards: Annotated[Path, typer.Option(help="Folder of finished parts, which outlives a killed run.")],
    adapter: Annotated[Path | None, typer.Option(help="Folder of the arm's adapter; none for the base.")] = None,
    code: Annotated[str, typer.Option(help="Fingerprint of the code: parts made by other code are not used.")] = "",
    serving: Annotated[
        str | None, typer.Option(help="ServingConfig as JSON: take the parts that `share` made, and load nothing.")
    ] = None,
    threads: int = 2,
) -> None:
    """Load the arm once and answer every evaluation prompt."""
    import torch

    from tropism.generate.sample import Asked, respond
    from tropism.records.files import InputError, write_jsonl

    torch.set_num_threads(threads)
    settings, model = EvaluateConfig.parse(config, "evaluate"), ModelConfig.parse(model_config, "models")
    if serving is None:
        write_jsonl(output, respond(arm, base, adapter, sets, settings, model, shards, code))
        shutil.rmtree(shards)
        return
    asked = Asked(base, sets, settings, model, ServingConfig.parse(serving, "serving"), code)
    work = asked.work(arm, adapter, shards)
    if work.missing():
        raise InputError(
            f"{shards}: {len(work.missing())} of {len(work.parts)} parts of `{arm}` are not there; remove the base's"
            " files in `answered` beside that folder, and they are made again"
        )
    write_jsonl(output, work.rows())


@app.command()
def share(
    arms: Annotated[str, typer.Option(help="JSON: the folder of each arm's adapter by its name; null for the base.")],
    base: Annotated[Path, typer.Option(help="Folder of the base model.")],
    model_config: Annotated[str, typer.Option(help="ModelConfig as JSON.")],
    config: Annotated[str, typer.Option(help="EvaluateConfig as JSON.")],
    serving: Annotated[str, typer.Option(help="ServingConfig as JSON.")],
    sets: Annotated[list[Path], typer.Option("--set", help="An eval set; its name is the file's.")],
    output: Annotated[Path, typer.Option(help="What was answered, JSON.")],
    shards: Annotated[Path, typer.Option(help="Folder of a folder of parts for each arm.")],
    server_log: Annotated[Path, typer.Option(help="File for what the server prints.")],
    code: Annotated[str, typer.Option(help="Fingerprint of the code: parts made by other code are not used.")] = "",
    threads: int = 2,
) -> None:
    """Load or serve the base once and answer every evaluation prompt as each arm; what is there is not made again."""
    import torch

    from tropism.generate.sample import Asked
    from tropism.generate.share import share as share_base
    from tropism.records.files import parse_json, sha256_file, write_json

    torch.set_num_threads(threads)
    for noisy in ("httpx", "httpx2", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    settings, model = EvaluateConfig.parse(config, "evaluate"), ModelConfig.parse(model_config, "models")
    asked = Asked(base, sets, settings, model, ServingConfig.parse(serving, "serving"), code)
    adapters = {name: Path(folder) if folder else None for name, folder in parse_json(arms, "--arms").items()}
    works = [asked.work(name, adapter, shards / name) for name, adapter in adapters.items()]
    share_base(asked, works, server_log)
    parts = {work.arm: {path.name: sha256_file(path) for path, _ in work.parts} for work in works}
    write_json(output, {"arms": parts})


if __name__ == "__main__":
    run(app)
