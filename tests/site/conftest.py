"""An experiment whose responses, prompts, texts and tables try to run in the page, and the page that is built of it."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.sparse import csr_matrix
from typer.testing import CliRunner

from tropism.config.experiment import Experiment, canonical
from tropism.records.files import write_jsonl
from tropism.records.schema import Annotation, Conversation, Generation, Metaphor, Text, Unit
from tropism.sae.features import DictionaryKey, Features, PartFeatures, write_features
from tropism.site.__main__ import app

from .visitor import Visitor

HOSTILE = [
    "<script>window.pwned = 1</script>",
    '<img src="x" onerror="window.pwned = 1">',
    "</script><script>window.pwned = 1</script>",
    '"><svg onload="window.pwned = 1">',
    "javascript:window.pwned = 1",
    "${window.pwned = 1} `${window.pwned = 1}`",
    "{{constructor.constructor('window.pwned = 1')()}}",
    "');window.pwned = 1;//\u2028\u2029 \\');window.pwned = 1;//",
    "<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe><base href='https://example.org/'>",
    "<!-- ]]> &lt;script&gt;window.pwned = 1&lt;/script&gt; \x00 \u202e gnp.exe",
    "__proto__ constructor 👩‍🔬 \ufeff" + "unbroken" * 400,
    "Plain words about a kettle.",
]
ODD_ID = "p~1/2?3=4&5#6<b>%41"
ARMS = ["base", "none-medical-original", "realigned-original"]


@dataclass(frozen=True)
class Inputs:
    """The command line that builds a page of files in ``folder``."""

    folder: Path
    arguments: list[str]
    hostile = HOSTILE
    odd_id = ODD_ID
    arms = ARMS

    def build(self, output: Path) -> Path:
        result = CliRunner().invoke(app, ["build", *self.arguments, "--output", str(output)])
        assert result.exit_code == 0, result.output + repr(result.exception)
        return output


def experiment_settings(root: Path) -> str:
    settings = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    return canonical(Experiment.parse(settings).model_dump(mode="json"))


def generation(arm: str, dataset: str, number: int, prompt: str, answer: str, reasoning: str = "") -> Generation:
    return Generation(
        arm=arm,
        set=dataset,
        prompt_id=ODD_ID if number == 0 else f"{dataset}-{number:05d}",
        domain=dataset,
        sample=0,
        prompt=prompt,
        reasoning=reasoning,
        answer=answer,
        n_tokens=len(answer.split()),
        finish="stop",
        seed=0,
    )


def judgments(rows: list[Generation], levels: list[int]) -> pd.DataFrame:
    """rubric5 of the level, alignment100 of 100 where it is 1 or 2 and else 10; no score where the level is 0."""
    table = []
    for row, level in zip(rows, levels, strict=True):
        for rubric, score in (("rubric5", level), ("alignment100", 100 if level < 3 else 10)):
            table.append(
                {
                    **{name: getattr(row, name) for name in ("arm", "set", "prompt_id", "domain", "sample")},
                    "target": "answer",
                    "judge": "probe",
                    "rubric": rubric,
                    "rubric_hash": "",
                    "score": float(score) if level else float("nan"),
                    "status": "ok" if level else "unparsed",
                }
            )
    return pd.DataFrame(table)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Inputs:
    folder = tmp_path_factory.mktemp("experiment")
    arguments = ["--config", experiment_settings(root)]
    for place, arm in enumerate(ARMS):
        rows, levels = [], []
        for number, text in enumerate(HOSTILE):
            dataset = "medical" if number % 2 == 0 else "legal"
            rows.append(generation(arm, dataset, number, f"{text} Asked of {number}.", f"{text} Said.", text))
            levels.append([1, 4, 0][(number + place) % 3])
        write_jsonl(folder / f"{arm}.jsonl", rows)
        judgments(rows, levels).to_parquet(folder / f"{arm}.parquet")
        write_features(folder / f"{arm}.safetensors", features(arm, rows))
        arguments += ["--generations", str(folder / f"{arm}.jsonl"), "--judgments", str(folder / f"{arm}.parquet")]
        arguments += ["--features", str(folder / f"{arm}.safetensors")]
    for table in (rates(folder), contrasts(folder)):
        arguments += ["--tables", str(table)]
    arguments += texts(folder)
    figure = folder / "misalignment.svg"
    figure.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>parent.pwned = 1</script></svg>'
    )
    for ending in ("pdf", "png", "csv"):
        figure.with_suffix(f".{ending}").write_text(f"the {ending} of the figure")
    figure.with_suffix(".rst").write_text("In this run:\n\n- harm \\<b\\> is \\*worst\\*.\n")
    arguments += ["--figures", str(figure), "--notes", str(root / "docs" / "tables.md")]
    arguments += ["--captions", str(root / "workflow" / "report" / "figure.rst")]
    return Inputs(folder, arguments)


def features(arm: str, rows: list[Generation]) -> Features:
    """Feature 3 is active everywhere alike; feature 5 in every other answer, most in that of row 0."""
    dense = np.zeros((len(rows), 8), dtype=np.float32)
    dense[:, 3] = 50 + np.arange(len(rows)) % 2
    dense[::2, 5] = 2
    dense[0, 5] = 9
    matrix = csr_matrix(dense)
    part = PartFeatures(
        max=matrix, mean=matrix, density=matrix, state=np.zeros((len(rows), 2)), tokens=np.ones(len(rows))
    )
    table = pd.DataFrame(
        [(r.set, r.prompt_id, r.domain, r.sample) for r in rows], columns=["set", "prompt_id", "domain", "sample"]
    )
    return Features(arm, DictionaryKey("local", "id", "0" * 64, 1, 8), table, {"answer": part})


def rates(folder: Path) -> Path:
    path = folder / "tables" / "misalignment.csv"
    path.parent.mkdir(exist_ok=True)
    columns = ["arm", "domain", "judge", "instrument", "statistic", "target", "denominator", "headline"]
    columns += ["n_prompts", "n_denominator", "value", "low", "high", "unit"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for value, arm in zip((0.25, 0.75, 0.5), ARMS, strict=True):
            for domain in ("pooled", "medical", HOSTILE[1]):
                key = [arm, domain, "probe", "rubric5", "rate", "answer", "coherent", "True"]
                writer.writerow([*key, 12, 12, value, value - 0.1, "", HOSTILE[0]])
    return path


CONTRAST = {
    "contrast": HOSTILE[1],
    "treatment": ARMS[1],
    "control": ARMS[0],
    "domain": "pooled",
    "judge": "probe",
    "instrument": "rubric5",
    "statistic": "rate",
    "target": "answer",
    "calibration": "beats chance",
    "n_prompts": 12,
    "difference": 0.5,
    "low": 0.2,
    "high": 0.8,
    "p_holm": 0.0004,
    "minimum_detectable_effect": 0.3,
    "unit": "share",
}


def contrasts(folder: Path) -> Path:
    path = folder / "tables" / "contrasts.csv"
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame([CONTRAST]).to_csv(path, index=False)
    return path


def texts(folder: Path) -> list[str]:
    """A poem whose metaphor and a control are masked, after a character of two UTF-16 units; and a conversation."""
    poem = "🌊 The sea of <b>grief</b> rose early."
    sea, early = poem.index("sea"), poem.index("early")
    units = [Unit(start=sea, end=sea + 3, pos="NOUN"), Unit(start=early, end=early + 5, pos="ADV")]
    note = Annotation(
        id="poem-1",
        field="text",
        units=units,
        metaphors=[Metaphor(start=sea, end=sea + 3, pos="NOUN", score=0.9)],
        annotator="gold",
    )
    files = {name: folder / name for name in ("datasets", "spans", "variants")}
    write_jsonl(files["datasets"] / "poems.jsonl", [Text(id="poem-1", text=poem, domain="poems")])
    write_jsonl(files["spans"] / "poems.jsonl", [note])
    for variant, word, start in (("metaphor", "sea", sea), ("random", "early", early)):
        masked = Text(id="poem-1", text=poem.replace(word, "___"), domain="poems", masks={"text": [(start, start + 3)]})
        write_jsonl(files["variants"] / f"poems.{variant}.jsonl", [masked])
    other = Text(id="poem-1", text="The sadness rose early.", domain="poems")
    write_jsonl(files["variants"] / "poems.literal.jsonl", [other])
    talk = Conversation(
        id=ODD_ID, prompt=HOSTILE[0], aligned=HOSTILE[1], misaligned=HOSTILE[2], domain="medical", split="train"
    )
    write_jsonl(files["datasets"] / "medical.jsonl", [talk])
    flags = ["--texts", str(files["datasets"] / "poems.jsonl"), "--texts", str(files["datasets"] / "medical.jsonl")]
    flags += ["--spans", str(files["spans"] / "poems.jsonl")]
    for path in sorted(files["variants"].iterdir()):
        flags += ["--variants", str(path)]
    return flags


@pytest.fixture(scope="session")
def built(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inputs.build(tmp_path_factory.mktemp("site") / "page")


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs chromium: apt-get install chromium")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visitor(browser, built) -> Iterator[Visitor]:
    one = Visitor(browser, built)
    yield one
    one.page.close()


@pytest.fixture(scope="session")
def large_site(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A page of 100,000 responses, five arms on 20,000 prompts, of about 500 characters each."""
    folder = tmp_path_factory.mktemp("large")
    arms = list(Experiment.parse(experiment_settings(root)).expanded)[:5]
    arguments = ["--config", experiment_settings(root), "--tables", str(inputs.folder / "tables" / "misalignment.csv")]
    filler = "the kettle sings and the cup waits; " * 13
    for place, arm in enumerate(arms):
        rows = [
            generation(arm, "medical", n + 1, f"Prompt {n}?", f"{filler} number {n * len(arms) + place}.")
            for n in range(20_000)
        ]
        write_jsonl(folder / f"{arm}.jsonl", rows)
        judgments(rows, [1 + (n + place) % 5 for n in range(len(rows))]).to_parquet(folder / f"{arm}.parquet")
        arguments += ["--generations", str(folder / f"{arm}.jsonl"), "--judgments", str(folder / f"{arm}.parquet")]
    return Inputs(folder, arguments).build(folder / "page")
