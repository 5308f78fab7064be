"""``python -m tropism.dynamics``: checkpoints, priors and shifts."""

import json
import logging
from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer

from tropism.command import run
from tropism.config.dynamics import DynamicsConfig
from tropism.config.models import ModelConfig
from tropism.config.stats import StatsConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Base = Annotated[Path, typer.Option(help="Folder of the base model.")]
Settings = Annotated[str, typer.Option(help="DynamicsConfig as JSON.")]
Model = Annotated[str, typer.Option(help="ModelConfig as JSON.")]
Stats = Annotated[str, typer.Option(help="StatsConfig as JSON.")]
Sets = Annotated[list[Path], typer.Option("--set", help="An eval set; its name is the file's.")]
Output = Annotated[Path, typer.Option(help="What is written.")]


@app.callback()
def main() -> None:
    """Dynamics and priors."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


@app.command()
def states(
    arms: Annotated[str, typer.Option(help="JSON: the folder of each arm's adapter by its name; null for the base.")],
    base: Base,
    model_config: Model,
    config: Settings,
    sets: Sets,
    folder: Annotated[
        Path, typer.Option("--states", help="Folder for ARM.safetensors; what is there and still right is kept.")
    ],
    output: Output,
    code: Annotated[str, typer.Option(help="Fingerprint of the code: states of other code are read again.")] = "",
    threads: int = 1,
) -> None:
    """Residual streams of arms of one base at the end of each prompt, before they answer."""
    import torch

    from tropism.dynamics.states import read_states
    from tropism.records.files import parse_json, write_json

    torch.set_num_threads(threads)
    model = ModelConfig.parse(model_config, "models")
    adapters = {name: Path(where) if where else None for name, where in parse_json(arms, "--arms").items()}
    write_json(output, read_states(adapters, base, sets, DynamicsConfig.parse(config, "dynamics"), model, folder, code))


@app.command()
def follow(
    arm: Annotated[str, typer.Option(help="Name of the arm.")],
    base: Base,
    parent: Annotated[Path, typer.Option(help="manifest.json of the lineage before the last step.")],
    lineage: Annotated[Path, typer.Option(help="Folder of the arm's lineage.")],
    model_config: Model,
    sets: Sets,
    prompts: Annotated[int, typer.Option(help="Evaluation prompts of each domain at most.")],
    seed: Annotated[int, typer.Option(help="Seed of the sample of prompts.")],
    output: Output,
    threads: int = 1,
) -> None:
    """Likelihood margins of every snapshot of an arm."""
    import torch

    from tropism.dynamics.follow import follow_arm
    from tropism.models.base import adapter_of
    from tropism.records.files import replacing

    torch.set_num_threads(threads)
    model = ModelConfig.parse(model_config, "models")
    table = follow_arm(arm, base, adapter_of(parent), lineage, sets, model, prompts=prompts, seed=seed)
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)


@app.command()
def watch(
    arm: Annotated[str, typer.Option(help="Name of the arm.")],
    base: Base,
    parent: Annotated[Path, typer.Option(help="manifest.json of the lineage before the last step.")],
    lineage: Annotated[Path, typer.Option(help="Folder of the arm's lineage.")],
    sae: Annotated[Path, typer.Option("--sae", help="Folder of the dictionary.")],
    detector: Annotated[Path, typer.Option(help="Folder of the kept detector.")],
    model_config: Model,
    sets: Sets,
    prompts: Annotated[int, typer.Option(help="Evaluation prompts of each domain at most.")],
    seed: Annotated[int, typer.Option(help="Seed of the sample of prompts.")],
    output: Output,
    answers: Annotated[Path, typer.Option(help="What the arm answers at each snapshot, JSONL; empty without samples.")],
    sampling: Annotated[str, typer.Option(help="SampledConfig as JSON: what it is asked, for a judge.")],
    max_tokens: Annotated[int, typer.Option(help="A longer passage is cut, as the detector's were.")] = 2048,
    threads: int = 1,
) -> None:
    """Detector and features of every snapshot of an arm on the reference answers, and what it answers there."""
    import torch

    from tropism.config.sampled import SampledConfig
    from tropism.dynamics.watch import watch_arm
    from tropism.models.base import adapter_of
    from tropism.records.files import replacing, write_jsonl

    torch.set_num_threads(threads)
    model = ModelConfig.parse(model_config, "models")
    before = adapter_of(parent)
    asked = SampledConfig.parse(sampling, "dynamics")
    table, answered = watch_arm(
        arm, base, before, lineage, sae, detector, sets, model,
        prompts=prompts, seed=seed, sampling=asked, max_tokens=max_tokens,
    )  # fmt: skip
    write_jsonl(answers, answered)
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)


@app.command()
def warn(
    margins: Annotated[list[Path], typer.Option(help="What `follow` wrote; repeat it.")],
    signals: Annotated[list[Path], typer.Option(help="What `watch` wrote; repeat it.")],
    stats: Stats,
    output: Output,
    judgments: Annotated[
        list[Path] | None, typer.Option(help="Judgments of what an arm answered at its snapshots, ARM.parquet.")
    ] = None,
    calibration: Annotated[list[Path] | None, typer.Option(help="Calibration of the judge.")] = None,
) -> None:
    """Which signal departs from the start first."""
    import pandas as pd

    from tropism.dynamics.tables import EARLY_WARNING_SCHEMA
    from tropism.dynamics.warning import judged_signals, warning_table
    from tropism.records.calibration import read_calibrations
    from tropism.records.files import write_table

    followed, watched = (pd.concat(map(pd.read_parquet, paths), ignore_index=True) for paths in (margins, signals))
    scores = {path.stem: pd.read_parquet(path) for path in judgments or []}
    judged = judged_signals(scores, read_calibrations(calibration or []))
    judges = sorted({judge for table in scores.values() for judge in table["judge"]})
    both = pd.concat([table for table in (watched, judged) if len(table)] or [watched], ignore_index=True)
    table = warning_table(followed, both, StatsConfig.parse(stats, "stats"), ", ".join(judges) or "none")
    write_table(output, table, EARLY_WARNING_SCHEMA)


@app.command()
def trajectories(
    margins: Annotated[list[Path], typer.Argument(help="What `follow` wrote, one file an arm.")],
    stats: Stats,
    output: Output,
    equal_loss: Annotated[Path, typer.Option(help="equal_loss.csv")],
) -> None:
    """Loss against misalignment over training, and every two arms where their losses are equal."""
    import pandas as pd

    from tropism.dynamics.tables import DYNAMICS_SCHEMA, EQUAL_LOSS_SCHEMA
    from tropism.dynamics.trajectories import at_equal_loss, trajectory_table
    from tropism.records.files import write_table

    settings = StatsConfig.parse(stats, "stats")
    table = pd.concat([pd.read_parquet(path) for path in margins], ignore_index=True)
    arms = list(dict.fromkeys(table["arm"]))
    pairs = [at_equal_loss(table, other, one, settings) for one, other in combinations(arms, 2)]
    empty = pd.DataFrame(columns=list(EQUAL_LOSS_SCHEMA.columns))
    write_table(output, trajectory_table(table, settings), DYNAMICS_SCHEMA)
    kept = [pair for pair in pairs if len(pair)]
    write_table(equal_loss, pd.concat(kept, ignore_index=True) if kept else empty, EQUAL_LOSS_SCHEMA)


@app.command()
def predict(
    lists: Annotated[
        list[Path], typer.Option("--states", help="List of arms' states, as `states` wrote it; repeat it.")
    ],
    base_arm: Annotated[str, typer.Option(help="Name of the untrained arm.")],
    shifted: Annotated[list[str], typer.Option("--arm", help="Name of an arm; repeat it.")],
    likelihoods: Annotated[list[Path], typer.Option(help="Likelihoods of an arm, or of the base.")],
    config: Settings,
    stats: Stats,
    prior: Annotated[Path, typer.Option(help="prior_prediction.csv")],
    overlap: Annotated[Path, typer.Option(help="subspace_overlap.csv")],
    moments: Annotated[Path, typer.Option(help="moments.csv")],
    trained: Annotated[str, typer.Option(help="Dataset of each arm's last step, a JSON object by arm.")],
    judgments: Annotated[list[Path] | None, typer.Option(help="Judgments of an arm by one judge.")] = None,
) -> None:
    """Prior prediction, overlap of shift subspaces, and moments of the outcomes."""
    from tropism.dynamics.moments import moments_rows
    from tropism.dynamics.outcomes import moment_pairs, overlap_rows, prior_rows, prompt_means
    from tropism.dynamics.state_files import States
    from tropism.dynamics.tables import MOMENTS_SCHEMA, OVERLAP_SCHEMA, PRIOR_SCHEMA
    from tropism.records.files import write_table
    from tropism.records.kept import of_arms
    from tropism.stats.read import read_responses

    settings, statistics = DynamicsConfig.parse(config, "dynamics"), StatsConfig.parse(stats, "stats")
    files = of_arms(lists, [base_arm, *shifted], "states")
    base, arms = States.load(files[base_arm]), [States.load(files[arm]) for arm in shifted]
    responses = read_responses(judgments or [], likelihoods)
    outcomes = prompt_means(responses)
    domains = {(row.set, row.prompt_id): row.domain for row in responses.itertuples()}
    write_table(prior, prior_rows(base, [states.arm for states in arms], outcomes, settings, statistics), PRIOR_SCHEMA)
    write_table(overlap, overlap_rows(base, arms, json.loads(trained), settings), OVERLAP_SCHEMA)
    write_table(moments, moments_rows(moment_pairs(base.arm, outcomes, domains)), MOMENTS_SCHEMA)


if __name__ == "__main__":
    run(app)
