"""The default annotator: MIP as a linear-algebra test on a base, trained on labels made by people with MIPVU."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from tropism.annotate.features import Pieces, Reader
from tropism.annotate.head import Head, load_head
from tropism.annotate.packing import pack
from tropism.annotate.passages import Passage
from tropism.records.files import InputError, parse_json, read_lines, sha256_file
from tropism.records.schema import Annotation, Metaphor, Unit

log = logging.getLogger(__name__)
CHUNK = 512
HEAD_PIECES = 8192
DECIMALS = 4


class ProbeCard(BaseModel):
    """``probe.json``: what the weights are for and how good they were."""

    model_config = ConfigDict(frozen=True)

    name: str
    layers: list[int]
    unmasked: int = 0
    blocks: list[int] | None = None
    hidden: int
    tags: list[str]
    threshold: float
    base: dict[str, str]
    training: dict[str, str | int | float]
    scores: dict[str, dict[str, float]]


def read_card(folder: Path) -> ProbeCard:
    """The card of the probe in ``folder``.

    Raises:
        InputError: there is none, or it is not one.
    """
    path = folder / "probe.json"
    text = "\n".join(line for _, line in read_lines(path))
    try:
        return ProbeCard.model_validate(parse_json(text, str(path)))
    except ValueError as error:
        raise InputError(f"{path}: not a probe's card: {error}") from None


def check_base(card: ProbeCard, base: Path) -> None:
    """Warn where the weights in ``base`` are not those that the probe was trained on; its scores hold for no others."""
    trained, weights = card.base.get("sha256"), base / "model.safetensors"
    if trained and weights.is_file() and sha256_file(weights) != trained:
        log.warning(
            "%s: other weights than the probe %s was trained on (%s); its scores and threshold were measured on those:"
            " name that base as the annotator's `model`, or check `annotation_quality.csv`",
            *(base, card.name, card.base.get("name", "")),
        )


class Probe:
    """Scores every lexical unit; those at or above the threshold are metaphors.

    A score is rounded to four decimals, far above the error that another batch brings, so that what is a metaphor does
    not depend on which other texts are annotated beside it.
    """

    def __init__(self, folder: Path | str, base: Path | str, threshold: float | None = None) -> None:
        """Load the probe in ``folder`` and, below it, the base in ``base``; ``threshold`` is by default the probe's.

        Raises:
            InputError: the folder holds no probe, or the base is not one that it can read.
        """
        folder = Path(folder)
        self.card = read_card(folder)
        self.threshold = self.card.threshold if threshold is None else threshold
        check_base(self.card, Path(base))
        self.reader = Reader(base, self.card.layers, self.card.unmasked, self.card.blocks)
        self.head: Head
        try:
            self.head, factors = load_head(
                folder / "probe.safetensors", self.reader.width, self.card.hidden, len(self.card.tags)
            )
            self.reader.tune(factors)
            pack(self.reader.stack)
        except (RuntimeError, AttributeError):
            raise InputError(
                f"{base}: hidden states of another width than the probe in {folder} was trained on "
                f"({self.card.base['name']}); name that base as the annotator's `model`"
            ) from None
        self.name = f"probe {self.card.name} at {self.threshold:g}"
        self.counts: Counter[str] = Counter()

    def annotate(self, passages: Sequence[Passage]) -> Iterator[Annotation]:
        """One annotation for each passage, in order; a chunk of passages is read at a time."""
        with tqdm(total=len(passages), desc="annotating", unit="text", mininterval=2) as progress:
            for begin in range(0, len(passages), CHUNK):
                for annotation in self._annotate_chunk(passages[begin : begin + CHUNK]):
                    self.counts.update(texts=1, units=len(annotation.units), metaphors=len(annotation.metaphors))
                    progress.update()
                    yield annotation

    def _annotate_chunk(self, passages: Sequence[Passage]) -> list[Annotation]:
        pieces = [self.reader.pieces(passage.text) for passage in passages]
        units: dict[int, list[tuple[float, Unit]]] = {index: [] for index in range(len(passages))}
        for batch in _batches(self.reader.read(pieces)):
            texts = [(index, pieces[index], features) for index, features in batch if pieces[index].units]
            if texts:
                units.update(self._score(texts))
        return [
            Annotation(
                id=passage.id,
                field=passage.field,
                units=[unit for _, unit in units[index]],
                metaphors=[
                    Metaphor(**unit.model_dump(), score=score)
                    for score, unit in units[index]
                    if score >= self.threshold
                ],
                annotator=self.name,
            )
            for index, passage in enumerate(passages)
        ]

    @torch.inference_mode()
    def _score(
        self, texts: Sequence[tuple[int, Pieces, torch.Tensor]]
    ) -> Iterator[tuple[int, list[tuple[float, Unit]]]]:
        """For each text, by its index, each unit with its score in [0, 1] and its part of speech."""
        features = pad_sequence([features for _, _, features in texts], batch_first=True)
        mask = pad_sequence([torch.ones(len(features)) for _, _, features in texts], batch_first=True)
        logits, tags = self.head(features, mask)
        scores, best = torch.sigmoid(logits).tolist(), tags.argmax(dim=-1).tolist()
        for row, (index, text, _) in enumerate(texts):
            yield (
                index,
                [
                    (
                        round(scores[row][past - 1], DECIMALS),
                        Unit(start=start, end=end, pos=self.card.tags[best[row][past - 1]]),
                    )
                    for (start, end), (_, past) in zip(text.units, text.ranges, strict=True)
                ],
            )


def _batches(texts: Iterable[tuple[int, torch.Tensor]]) -> Iterator[list[tuple[int, torch.Tensor]]]:
    """Neighbours in the reader's order, which is by length, of at most ``HEAD_PIECES`` when padded."""
    batch: list[tuple[int, torch.Tensor]] = []
    longest = 0
    for text in texts:
        longest = max(longest, len(text[1]))
        if batch and (len(batch) + 1) * longest > HEAD_PIECES:
            yield batch
            batch, longest = [], len(text[1])
        batch.append(text)
    if batch:
        yield batch
