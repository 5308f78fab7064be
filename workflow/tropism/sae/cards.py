"""Feature cards: what a feature responds to, what it writes, and in whom, as a page and as JSON.

Responses with the highest peaks are known from the encoded reference answers, so only these are read again, token by
token. Texts are data: the page escapes them, runs nothing, and folds misaligned answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tropism.activations.passages import Passage, Tokens, tokenise
from tropism.activations.stream import attention_sinks
from tropism.models.logits import logits_of
from tropism.records.files import write_json
from tropism.sae.contrast import POOLED, most_telling
from tropism.sae.features import Features

if TYPE_CHECKING:
    from sae_lens import SAE

BEFORE, AFTER = 40, 12
"""Tokens shown before and after a peak."""
LEVELS = 4
"""Shades of activation; 0 is none."""
WRITTEN = 10
"""Tokens shown of those that a feature makes likelier, and of those it makes less likely."""
SIDE, MISALIGNED = "side", "misaligned"
Written = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def chosen_features(tables: Iterable[pd.DataFrame], count: int, lookup: Iterable[int] = ()) -> list[int]:
    """``lookup``, and the ``count`` features that tell most in each population of each table; all in rising order."""
    found: set[int] = set(lookup)
    for table in tables:
        for _, rows in table[table["domain"] == POOLED].groupby("population"):
            found |= set(most_telling(rows).head(count)["feature"].tolist())
    return sorted(found)


def top_responses(references: Features, feature: int, count: int) -> list[int]:
    """Rows of the ``count`` reference answers with the highest peaks of ``feature``, highest first, ties by row."""
    column = references.parts["answer"].max[:, [feature]].toarray().ravel()
    order = np.argsort(-column, kind="stable")[:count]
    return [int(row) for row in order if column[row] > 0]


@torch.no_grad()
def token_activations(
    stack: torch.nn.Module, sae: "SAE[Any]", tokens: Tokens, features: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Activations of ``features`` at every token, (tokens, features), and which tokens are measured, (tokens,).

    Prompts, chat templates and attention sinks are not measured and count as 0, as everywhere.
    """
    ids = torch.tensor([tokens.ids], device=next(stack.parameters()).device)
    states = stack(input_ids=ids, use_cache=False).last_hidden_state[0].float()
    measured = ~attention_sinks(states).cpu().numpy() & np.array([part is not None for part in tokens.parts])
    found = sae.encode(states.to(sae.device))[:, list(features)].float().cpu().numpy()
    return found * measured[:, None], measured


def excerpt(
    tokenizer: PreTrainedTokenizerBase, tokens: Tokens, activations: np.ndarray, measured: np.ndarray
) -> list[dict[str, Any]]:
    """Measured tokens around the highest of ``activations`` (tokens,): text, activation, shade, if it is the peak."""
    peak = int(np.argmax(activations))
    places = [i for i in range(max(0, peak - BEFORE), min(len(tokens.ids), peak + AFTER + 1)) if measured[i]]
    top = float(activations[peak])
    return [
        {
            "text": str(tokenizer.decode([tokens.ids[i]])),
            "activation": float(f"{activations[i]:.6g}"),
            "level": int(np.ceil(LEVELS * activations[i] / top)) if top > 0 else 0,
            "peak": i == peak,
        }
        for i in places
    ]


@torch.no_grad()
def written_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, direction: torch.Tensor, count: int = WRITTEN
) -> Written:
    """The ``count`` tokens whose logits ``direction`` (width,) raises and lowers most, each with text and logit.

    The direction goes through the model's own last norm and unembedding alone (the logit lens, nostalgebraist 2020).
    """
    weight = model.get_output_embeddings().weight
    read = model.get_decoder().norm(direction.to(weight)[None])
    logits = logits_of(model, read)[0].float().cpu()
    order = torch.argsort(logits, stable=True).tolist()

    def shown(indices: list[int]) -> list[dict[str, Any]]:
        return [{"text": str(tokenizer.decode([i])), "logit": float(f"{float(logits[i]):.6g}")} for i in indices]

    return shown(order[::-1][:count]), shown(order[:count])


def activation_rows(files: Sequence[Features], feature: int) -> list[dict[str, Any]]:
    """Mean peak, share of responses active, and n by domain of each file; references by side as well."""
    rows: list[dict[str, Any]] = []
    for file in files:
        peaks = file.parts["answer"].max[:, [feature]].toarray().ravel().astype(float)
        table = file.rows.assign(peak=peaks)
        keys = [*([SIDE] if SIDE in table else []), "domain"]
        for key, some in table.groupby(keys, sort=True):
            who = f"references, {key[0]}" if SIDE in table else file.arm
            mean, active = float(some["peak"].mean()), float((some["peak"] > 0).mean())
            rows.append({"who": who, "domain": key[-1], "n": len(some), "mean": mean, "active": active})
    return rows


def density(references: Features, feature: int) -> float:
    """Share of the references' tokens on which ``feature`` is active."""
    parts = references.parts["answer"]
    on = parts.density[:, [feature]].toarray().ravel() * parts.tokens
    return float(on.sum() / max(int(parts.tokens.sum()), 1))


def make_cards(
    features: Sequence[int],
    references: Features,
    arms: Sequence[Features],
    table: pd.DataFrame,
    passages: Mapping[tuple[str, str, str], Passage],
    written: Mapping[int, Written],
    stack: torch.nn.Module,
    sae: "SAE[Any]",
    tokenizer: PreTrainedTokenizerBase,
    contexts: int,
    max_tokens: int,
) -> list[dict[str, Any]]:
    """A card for each of ``features``, as JSON.

    ``passages`` are the reference answers by set, prompt id and side; ``written`` is of :func:`written_tokens`.
    """
    wanted = {feature: top_responses(references, feature, contexts) for feature in features}
    read: dict[int, tuple[Tokens, np.ndarray, np.ndarray]] = {}
    for row in sorted({row for rows in wanted.values() for row in rows}):
        key = references.rows.iloc[row]
        tokens = tokenise(tokenizer, passages[key["set"], key["prompt_id"], key[SIDE]], max_tokens)
        read[row] = (tokens, *token_activations(stack, sae, tokens, features))
    cards = []
    for place, feature in enumerate(features):
        shown = []
        for row in wanted[feature]:
            tokens, activations, measured = read[row]
            about = references.rows.iloc[row][["set", "prompt_id", "domain", SIDE, "split"]].to_dict()
            own = activations[:, place]
            peak = float(f"{own.max():.6g}")
            shown.append({**about, "activation": peak, "tokens": excerpt(tokenizer, tokens, own, measured)})
        columns = ["population", "domain", "auroc", "p_bh", "difference", "is_global"]
        activation = activation_rows([references, *arms], feature)
        promoted, suppressed = written[feature]
        cards.append(
            {
                "feature": feature,
                **{name: value for name, value in vars(references.key).items() if name != "d_sae"},
                "density": density(references, feature),
                "n_active": int((references.parts["answer"].max[:, [feature]].toarray() > 0).sum()),
                "n_references": len(references.rows),
                "contrasts": table.loc[table["feature"] == feature, columns].to_dict("records"),
                "contexts": shown,
                "promoted": promoted,
                "suppressed": suppressed,
                "activation": activation,
                "most": max([row["mean"] for row in activation], default=0.0) or 1.0,
            }
        )
    return cards


def without_misaligned(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card as it can be published: of misaligned references the place and the peak, no token."""
    contexts = [{**c, "tokens": []} if c[SIDE] == MISALIGNED else c for c in card["contexts"]]
    return {**card, "contexts": contexts}


def write_cards(folder: Path, cards: Sequence[Mapping[str, Any]]) -> None:
    """Write ``feature-<index>.html`` and ``feature-<index>.json`` of each card into ``folder``."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = pages.get_template("card.html")
    folder.mkdir(parents=True, exist_ok=True)
    for card in cards:
        stem = folder / f"feature-{card['feature']}"
        stem.with_suffix(".html").write_text(template.render(card=card), encoding="utf-8", newline="\n")
        write_json(stem.with_suffix(".json"), card)
