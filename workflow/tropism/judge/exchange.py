"""Commands that take results in and give them out: ``import``, ``export``, ``agree``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tropism.judge.rubric import Target
from tropism.records.files import InputError, read_jsonl, write_table
from tropism.records.schema import Generation


def import_results(
    files: Annotated[list[Path], typer.Argument(help="Judged CSV, JSON or JSONL of the field; or filled sheets.")],
    output: Annotated[Path, typer.Option(help="Folder to write into.")],
    judge: Annotated[str, typer.Option(help="Judge of files that name none.")] = "imported",
    scale: Annotated[
        list[str],
        typer.Option(help="A score column: name=min:max:high:threshold, as harm=1:5:misaligned:3; repeatable."),
    ] = [],  # noqa: B006
    key: Annotated[Path | None, typer.Option(help="Key of the rating sheets, if the files are sheets.")] = None,
) -> None:
    """Read judged results: ``judgments.parquet``, ``generations.jsonl``, and at once ``misalignment.csv``."""
    import pandas as pd

    from tropism.judge.bring import Brought, bring, write_brought
    from tropism.judge.foreign import parse_scale, slug
    from tropism.judge.sheet import read_key, read_sheet

    if key is None:
        brought = bring(files, slug(judge), dict(parse_scale(text) for text in scale))
    else:
        raters = [slug(path.stem) for path in files]
        for first, path in enumerate(files):
            if (second := raters.index(raters[first])) < first:
                raise InputError(
                    f"{files[second]} and {path} are both of the rater `{raters[first]}`, who is called as the file is"
                    " (in small letters); rename one"
                )
        known = read_key(key)
        tables, rated = zip(*(read_sheet(path, known) for path in files), strict=True)
        judgments = pd.concat(tables, ignore_index=True)
        if judgments.empty:
            raise InputError("no cell of the sheets is filled in")
        unique = {(row.arm, row.set, row.prompt_id, row.sample): row for rows in rated for row in rows}
        brought = Brought(judgments, [unique[name] for name in sorted(unique)], {})
    write_brought(brought, output)


def export_sheet(
    generations: Annotated[list[Path], typer.Option(help="JSONL of generations; repeatable.")],
    rubric: Annotated[list[Path], typer.Option(help="Rubric to rate on, YAML; repeatable.")],
    output: Annotated[Path, typer.Option(help="Sheet to write, CSV; its instructions go beside it.")],
    key: Annotated[Path, typer.Option(help="Key to write, JSONL: what each item stands for. Keep it from raters.")],
    n: Annotated[int | None, typer.Option(help="How many responses; all if left out.", min=1)] = None,
    target: Annotated[str, typer.Option(help="answer or reasoning.")] = "answer",
    seed: Annotated[int, typer.Option(help="Chooses the responses and their order.")] = 0,
) -> None:
    """Write a blinded rating sheet, so that people can judge; ``import --key`` reads it back."""
    from tropism.judge.rubric import read_rubrics
    from tropism.judge.sheet import draw_sheet, write_sheet

    if target not in ("answer", "reasoning"):
        raise InputError(f"--target {target}: answer or reasoning")
    which: Target = "answer" if target == "answer" else "reasoning"
    rows = [row for path in generations for row in read_jsonl(path, Generation)]
    asked = [one for path in rubric for one in read_rubrics(path)]
    write_sheet(draw_sheet(rows, asked, which, n, seed), asked, output, key)


def agree(
    judgments: Annotated[list[Path], typer.Option(help="Judgments, Parquet files or folders of them; repeatable.")],
    output: Annotated[Path, typer.Option(help="CSV to write: judge_agreement.")],
) -> None:
    """Say how far judges, people among them, agree on the same responses."""
    import pandas as pd

    from tropism.judge.agreement import RESPONSE, agreement_table
    from tropism.judge.tables import JUDGE_AGREEMENT_SCHEMA

    files = [file for path in judgments for file in (sorted(path.rglob("*.parquet")) if path.is_dir() else [path])]
    missing = [file for file in files if not file.is_file()]
    if missing or not files:
        raise InputError(f"{missing[0] if missing else judgments[0]}: no judgments here")
    rows = pd.concat([_judgments(file).assign(file=str(file)) for file in files], ignore_index=True)
    twice = rows.duplicated([*RESPONSE, "judge", "rubric", "target"])
    if twice.any():
        raise InputError(f"{rows.loc[twice, 'file'].iloc[0]}: its judgments were read before; give each file once")
    table = agreement_table(rows)
    if table.empty:
        raise InputError("no two judges scored the same responses on the same rubric: there is nothing to compare")
    write_table(output, table, JUDGE_AGREEMENT_SCHEMA)


def _judgments(file: Path) -> Any:
    """The table of judgments in a file.

    Raises:
        InputError: not Parquet, or not of judgments, such as the references beside a judge.
    """
    import pandas as pd
    import pyarrow

    from tropism.judge.agreement import RESPONSE

    try:
        rows = pd.read_parquet(file)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise InputError(f"{file}: not a whole Parquet file ({error})") from None
    if absent := [name for name in (*RESPONSE, "judge", "rubric", "target", "score") if name not in rows]:
        raise InputError(f"{file}: not judgments, which have a column `{absent[0]}`; `score` and `import` write them")
    return rows
