"""Reading what masking takes: a dataset of either schema, and its annotations."""

from pathlib import Path

from tropism.mask.variants import Record
from tropism.records.files import InputError, parse_json, read_jsonl, read_lines
from tropism.records.schema import Annotation, Conversation, Text


def read_records(path: Path) -> list[Record]:
    """The texts or conversations in ``path``, told apart by the keys of the first row.

    Raises:
        InputError: with file and line, for rows of neither schema, or of both.
    """
    first = next(((number, line) for number, line in read_lines(path) if line.strip()), None)
    if first is None:
        raise InputError(f"{path}: no rows in it")
    number, line = first
    row = parse_json(line, f"{path}, line {number}")
    if not isinstance(row, dict) or not row.keys() & {"text", "split"}:
        raise InputError(f"{path}, line {number}: neither a text nor a conversation; nothing here can be masked")
    return list(read_jsonl(path, Text)) if "text" in row else list(read_jsonl(path, Conversation))


def read_annotations(path: Path) -> dict[tuple[str, str], Annotation]:
    """Annotations by record id and field. Those of records that the dataset does not have are simply never asked for.

    Raises:
        InputError: with file and line, or naming the record that is annotated twice.
    """
    annotations: dict[tuple[str, str], Annotation] = {}
    for annotation in read_jsonl(path, Annotation):
        key = (annotation.id, annotation.field)
        if key in annotations:
            raise InputError(f"{path}: `{annotation.field}` of record `{annotation.id}` is annotated twice")
        annotations[key] = annotation
    return annotations
