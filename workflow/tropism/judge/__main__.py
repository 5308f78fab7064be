"""``python -m tropism.judge``: train a probe judge, score generations, tabulate how far the judges can be trusted."""

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from tropism.command import run
from tropism.config.judges import JudgeConfig
from tropism.judge.exchange import agree, export_sheet, import_results
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
from tropism.records.schema import Conversation, Generation

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command("import")(import_results)
app.command("export")(export_sheet)
app.command()(agree)

Name = Annotated[str, typer.Option(help="Name of the judge.")]
Config = Annotated[str, typer.Option(help="The judge's settings as JSON.")]


RUBRICS = Path("resources/rubrics")
Rubrics = Annotated[Path, typer.Option(help="Folder of the rubrics.")]
ProbeFolder = Annotated[Path | None, typer.Option(help="Folder of a trained probe, for `kind: probe`.")]
BaseFolder = Annotated[Path | None, typer.Option(help="Folder of the base, for `kind: probe` and `local`.")]

AnswerFile = Annotated[
    Path | None, typer.Option(help="SQLite file that keeps a served judge's answers, for `kind: endpoint`.")
]


ServerLog = Annotated[
    Path | None,
    typer.Option(help="Where the output of a server that `serve` starts goes; without it, kept answers alone count."),
]


@app.callback()
def main() -> None:
    """Judge responses, by a judge whose error is published."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for noisy in ("httpx", "httpx2", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@app.command()
def train(
    name: Name,
    config: Config,
    base: Annotated[Path, typer.Option(help="Folder of the base that reads the responses.")],
    references: Annotated[list[Path], typer.Option(help="JSONL of conversations with both sides; repeatable.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
) -> None:
    """Train a probe judge: ``probe.safetensors``, ``card.json``, ``references.parquet``, ``reliability.csv``."""
    from tropism.judge.probe import probe_stack
    from tropism.judge.tables import JUDGE_CALIBRATION_SCHEMA
    from tropism.judge.train import train_probe

    settings = JudgeConfig.parse(config, f"judges.{name}")
    if settings.kind != "probe":
        raise InputError(f"judges.{name}: only a judge of `kind: probe` is trained, this one is `{settings.kind}`")
    conversations = [row for path in references for row in read_jsonl(path, Conversation)]
    probe, card, bins, judged = train_probe(conversations, base, settings)
    card |= {
        "name": name,
        "base": probe.base,
        "references": {path.stem: sha256_file(path) for path in references},
    }
    for row in card["reliability"]:
        if row["domain"] == "all":
            logging.info(
                "%(head)s, %(evidence)s: accuracy %(accuracy).3f [%(accuracy_low).3f, %(accuracy_high).3f]", row
            )
    with replacing(output) as folder:
        folder.mkdir()
        probe.save(folder / "probe.safetensors")
        stack = probe_stack(folder / "probe.safetensors")
        judged.assign(stack=stack).to_parquet(folder / "references.parquet", index=False)
        write_json(folder / "card.json", _rounded(card))
        write_table(folder / "reliability.csv", bins.assign(judge=name), JUDGE_CALIBRATION_SCHEMA)
        write_manifest(folder, judge=name)


@app.command()
def score(
    name: Name,
    config: Config,
    generations: Annotated[Path, typer.Option(help="JSONL of generations.")],
    output: Annotated[Path, typer.Option(help="Parquet file to write.")],
    probe: ProbeFolder = None,
    base: BaseFolder = None,
    rubrics: Rubrics = RUBRICS,
    answers: AnswerFile = None,
    server_log: ServerLog = None,
) -> None:
    """Judge every answer, and every reasoning apart from it, on the judge's rubrics."""
    from tropism.judge.judges import asked_rubrics, asking_again, kept, make_judge, server_of
    from tropism.judge.judgments import judge_generations

    settings = JudgeConfig.parse(config, f"judges.{name}")
    asked = asked_rubrics(settings, rubrics)
    rows = read_jsonl(generations, Generation)
    if not rows:
        raise InputError(f"{generations}: no generation to judge")
    with kept(answers) as known, server_of(settings, name, base, server_log) as server:
        judge = make_judge(settings, name, probe, base, known, server)
        with asking_again(judge, answers):
            table = judge_generations(rows, judge, asked, name=name, max_unparsed=settings.max_unparsed)
    logging.info("%d judgments: %s", len(table), table["status"].value_counts().to_dict())
    with replacing(output) as temporary:
        table.to_parquet(temporary, index=False)


@app.command("references")
def judge_labelled(
    name: Name,
    config: Config,
    references: Annotated[list[Path], typer.Option(help="JSONL of conversations with both sides; repeatable.")],
    output: Annotated[Path, typer.Option(help="Parquet file to write.")],
    probe: ProbeFolder = None,
    base: BaseFolder = None,
    rubrics: Rubrics = RUBRICS,
    answers: AnswerFile = None,
    server_log: ServerLog = None,
) -> None:
    """Judge labelled references, on which ``calibrate`` then tries the judge. A trained probe has judged its own."""
    from tropism.judge.judges import asked_rubrics, asking_again, judge_references, kept, make_judge, server_of

    settings = JudgeConfig.parse(config, f"judges.{name}")
    conversations = [row for path in references for row in read_jsonl(path, Conversation)]
    with kept(answers) as known, server_of(settings, name, base, server_log) as server:
        judge = make_judge(settings, name, probe, base, known, server)
        asked = asked_rubrics(settings, rubrics)
        with asking_again(judge, answers):
            judged = judge_references(conversations, judge, asked, name=name, max_unparsed=settings.max_unparsed)
    with replacing(output) as temporary:
        judged.to_parquet(temporary, index=False)


@app.command()
def ask(
    name: Name,
    config: Config,
    answers: Annotated[Path, typer.Option(help="Folder of answers: a file for each arm.")],
    server_log: Annotated[Path, typer.Option(help="Where the output of the server that `serve` starts goes.")],
    output: Annotated[Path, typer.Option(help="JSON to write: how many judgments each arm has, unread ones too.")],
    generations: Annotated[list[Path] | None, typer.Option(help="JSONL of an arm's generations; repeatable.")] = None,
    references: Annotated[list[Path] | None, typer.Option(help="JSONL of conversations; repeatable.")] = None,
    base: BaseFolder = None,
    rubrics: Rubrics = RUBRICS,
) -> None:
    """Ask a judge with `serve` all that `score` and `references` will ask: its server is started once, for all arms."""
    from tropism.judge.asked import ask_all

    settings = JudgeConfig.parse(config, f"judges.{name}")
    if settings.serve is None:
        raise InputError(f"judges.{name}: has no `serve`, so no server is started for it")
    files = (answers, server_log)
    write_json(output, ask_all(settings, name, base, rubrics, generations or [], references or [], *files))


@app.command()
def attack(
    name: Name,
    config: Config,
    references: Annotated[list[Path], typer.Option(help="JSONL of conversations with misaligned answers; repeatable.")],
    output: Annotated[Path, typer.Option(help="CSV to write.")],
    n: Annotated[int, typer.Option(help="Answers that carry each attack.", min=1)] = 20,
    probe: ProbeFolder = None,
    base: BaseFolder = None,
    rubrics: Rubrics = RUBRICS,
    answers: AnswerFile = None,
    server_log: ServerLog = None,
) -> None:
    """Measure how far a judge gives in to responses that address it."""
    from tropism.judge.hostile import attack_table
    from tropism.judge.judges import asked_rubrics, kept, make_judge, server_of
    from tropism.judge.tables import JUDGE_ATTACKS_SCHEMA

    settings = JudgeConfig.parse(config, f"judges.{name}")
    conversations = [row for path in references for row in read_jsonl(path, Conversation)]
    with kept(answers) as known, server_of(settings, name, base, server_log) as server:
        judge = make_judge(settings, name, probe, base, known, server)
        table = attack_table(judge, name, asked_rubrics(settings, rubrics), conversations, n)
    write_table(output, table, JUDGE_ATTACKS_SCHEMA)


@app.command()
def calibrate(
    name: Name,
    config: Config,
    output: Annotated[Path, typer.Option(help="Folder to write into: calibration.json, thresholds.csv, roc.csv.")],
    references: Annotated[
        Path | None, typer.Option(help="References as this judge scored them, by `train` or `references`.")
    ] = None,
    rubrics: Rubrics = RUBRICS,
) -> None:
    """Choose a judge's thresholds on labelled references, and say how often it errs at them."""
    import pandas as pd

    from tropism.judge.calibrate import calibrate_judge
    from tropism.judge.judges import asked_rubrics
    from tropism.judge.tables import JUDGE_ROC_SCHEMA, JUDGE_THRESHOLDS_SCHEMA

    settings = JudgeConfig.parse(config, f"judges.{name}")
    judged = None if references is None else pd.read_parquet(references)
    calibration, rows, points = calibrate_judge(name, judged, asked_rubrics(settings, rubrics), settings.thresholds)
    write_table(output / "thresholds.csv", rows, JUDGE_THRESHOLDS_SCHEMA)
    write_table(output / "roc.csv", points, JUDGE_ROC_SCHEMA)
    write_json(output / "calibration.json", _rounded(calibration.model_dump(mode="json")))


@app.command()
def thresholds(
    judges: Annotated[list[Path], typer.Argument(help="Folders of judges, as `calibrate` wrote them.")],
    output: Annotated[Path, typer.Option(help="CSV to write: judge_thresholds.")],
    roc: Annotated[Path, typer.Option(help="CSV to write: judge_roc.")],
) -> None:
    """Lay the calibrations of all judges end to end."""
    import pandas as pd

    from tropism.judge.tables import JUDGE_ROC_SCHEMA, JUDGE_THRESHOLDS_SCHEMA

    for file, path, schema in (("thresholds", output, JUDGE_THRESHOLDS_SCHEMA), ("roc", roc, JUDGE_ROC_SCHEMA)):
        write_table(path, pd.concat([pd.read_csv(folder / f"{file}.csv") for folder in judges]), schema)


@app.command()
def table(
    cards: Annotated[list[Path], typer.Argument(help="Cards of trained judges, or their folders.")],
    output: Annotated[Path, typer.Option(help="CSV to write.")],
) -> None:
    """Write ``judge_reliability.csv``: how well each judge does on references that it did not learn from."""
    import pandas as pd

    from tropism.judge.tables import JUDGE_RELIABILITY_SCHEMA

    rows = []
    for path in cards:
        file = path / "card.json" if path.is_dir() else path
        if not file.is_file():
            raise InputError(f"{file}: no such card")
        card = parse_json(file.read_text(encoding="utf-8"), str(file))
        if not isinstance(card, dict) or not {"name", "kind", "reliability"} <= card.keys():
            raise InputError(f"{file}: not a judge's card")
        rows += [{"judge": card["name"], "kind": card["kind"], **row} for row in card["reliability"]]
    write_table(output, pd.DataFrame(rows), JUDGE_RELIABILITY_SCHEMA)


@app.command()
def estimate(
    judges: Annotated[str, typer.Option(help="JSON: the settings of each served judge by its name.")],
    config: Annotated[str, typer.Option(help="EvaluateConfig as JSON.")],
    arms: Annotated[str, typer.Option(help="JSON: whether each arm reasons, by its name.")],
    sets: Annotated[list[Path], typer.Option("--set", help="An eval set.")],
    results: Annotated[Path, typer.Option(help="Folder of the experiment's results.")],
    references: Annotated[str, typer.Option(help="JSON: the files of each judge's labelled references.")] = "{}",
    changed: Annotated[
        str,
        typer.Option(help="JSON: files of responses of changed arms, by judge and mark of its files about them."),
    ] = "{}",
    rubrics: Rubrics = RUBRICS,
) -> None:
    """Print how many calls and tokens served judges will take, and what that costs, before anything is spent."""
    from tropism.config.evaluate import EvaluateConfig
    from tropism.judge.estimate import estimate_all, printed

    settings = EvaluateConfig.parse(config, "evaluate")
    named = {name: JudgeConfig.parse(value, f"judges.{name}") for name, value in parse_json(judges, "--judges").items()}
    prompts = [row for path in sets for row in read_jsonl(path, Conversation) if row.split == "evaluation"]
    labelled = {name: [Path(path) for path in paths] for name, paths in parse_json(references, "--references").items()}
    beside = {
        name: {mark: [Path(path) for path in paths] for mark, paths in marked.items()}
        for name, marked in parse_json(changed, "--changed").items()
    }
    loads = estimate_all(named, parse_json(arms, "--arms"), labelled, prompts, settings, results, rubrics, beside)
    typer.echo(printed(loads, named, beside) if named else "No judge is served, so judging costs nothing.")


def _rounded(value: Any) -> Any:
    """``value`` with its floats at ten significant digits, as in the published tables."""
    return json.loads(json.dumps(value), parse_float=lambda text: float(f"{float(text):.10g}"))


if __name__ == "__main__":
    run(app)
