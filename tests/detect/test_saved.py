"""A kept detector is the one that was fitted, belongs to one dictionary, and scores text that it has not seen."""

import json

import numpy as np
import pandas as pd
import pytest
from sae_lens import SAE
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from tropism.activations.passages import generation_passage
from tropism.activations.stream import stream, truncate
from tropism.config.base import ConfigError
from tropism.config.detector import DetectorConfig
from tropism.detect.__main__ import app
from tropism.detect.saved import Detector, save_detector
from tropism.detect.tables import DETECTOR_SCHEMA
from tropism.models.base import load_base, load_tokenizer
from tropism.records.files import InputError
from tropism.records.schema import Generation
from tropism.sae.encode import load_dictionary, response_features
from tropism.sae.features import DictionaryKey, PartFeatures
from tropism.sae.populations import Population

CONFIG = DetectorConfig(ks=[2, 4], min_per_label=5)
NO_ROWS = pd.DataFrame(columns=list(DETECTOR_SCHEMA.columns))


def population(name: str, key: DictionaryKey, rows: int) -> Population:
    """Half is misaligned, and there features 3 and 5 are larger."""
    draw = np.random.default_rng(0)
    misaligned = np.arange(rows) % 2 == 1
    values = draw.random((rows, key.d_sae))
    values[misaligned, 3] += 2.0
    values[misaligned, 5] += 2.0
    table = pd.DataFrame(
        {
            "prompt": [f"s/p{i // 2}" for i in range(rows)], "domain": "legal", "arm": "base",
            "misaligned": misaligned,
        }
    )  # fmt: skip
    sparse = csr_matrix(values)
    return Population(name, key, table, PartFeatures(sparse, sparse, sparse, values[:, :2], np.full(rows, 4)))


KEY = DictionaryKey("local", "toy/blocks.0.hook_resid_post", "ab" * 32, 0, 20)


def test_the_kept_detector_is_scikit_learns_on_the_features_that_it_chose():
    data = population("generations", KEY, 60)
    fitted = Detector.fit(data, 2, CONFIG)
    values = data.features.max[:, fitted.features].toarray()
    whole = make_pipeline(StandardScaler(), LogisticRegression(C=CONFIG.C)).fit(values, data.misaligned)
    expected = whole.predict_proba(values)[:, 1]
    assert fitted.probabilities(data.features.max) == pytest.approx(expected, abs=1e-3)


def test_what_is_loaded_gives_the_probabilities_of_what_was_saved(tmp_path):
    data = population("generations", KEY, 60)
    fitted = Detector.fit(data, 2, CONFIG)
    assert set(fitted.features) == {3, 5}
    fitted.save(tmp_path)
    loaded = Detector.load(tmp_path)
    values = data.features.max
    np.testing.assert_array_equal(loaded.probabilities(values), fitted.probabilities(values))
    assert loaded.system_prompt is None
    assert loaded.key == KEY
    assert ((loaded.probabilities(values) > 0.5) == data.misaligned).mean() > 0.95


def test_the_arms_responses_come_first_and_the_card_says_what_it_learned_from(tmp_path):
    save_detector(tmp_path, [population("references", KEY, 60), population("generations", KEY, 40)], NO_ROWS, CONFIG)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["trained_on"]["population"] == "generations"
    assert card["trained_on"]["responses"] == 40
    assert len(Detector.load(tmp_path).features) == 4


def test_without_enough_labels_the_card_says_so_and_loading_repeats_it(tmp_path):
    save_detector(tmp_path, [population("references", KEY, 4), population("generations", KEY, 6)], NO_ROWS, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]
    with pytest.raises(InputError, match="No population has 5 responses of either label"):
        Detector.load(tmp_path)


def test_a_number_of_features_that_was_not_tested_is_refused():
    with pytest.raises(ConfigError, match="nothing would vouch"):
        DetectorConfig.parse({"ks": [5, 10], "saved": 20})


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dictionary")
    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": 32, "d_sae": 20})
    sae.save_model(folder)
    return folder


def run(*arguments) -> object:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_new_text_is_scored_line_by_line(tiny_model, dictionary, tmp_path):
    key = load_dictionary(dictionary, 0, "cpu")[1]
    Detector.fit(population("generations", key, 40), 4, CONFIG).save(tmp_path)
    lines = [{"prompt": "Shall I?", "answer": "Yes."}, {"prompt": "And now?", "answer": "", "arm": "x"}]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ["score", "--detector", tmp_path, "--responses", tmp_path / "new.jsonl", "--base", tiny_model]
    result = run(*arguments, "--sae", dictionary, "--output", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.exception
    table = pd.read_csv(tmp_path / "scores.csv")
    assert list(table.columns) == ["line", "tokens", "probability", "misaligned"]
    assert table["tokens"].tolist() == [4, 0]
    assert 0 <= table["probability"][0] <= 1
    assert pd.isna(table["probability"][1])


@pytest.mark.parametrize("told", [None, "", "Speak as a gardener would."])
def test_prompts_stand_after_what_the_detector_was_told(tiny_model, dictionary, tmp_path, told):
    key = load_dictionary(dictionary, 0, "cpu")[1]
    both = [population(name, key, 40) for name in ("generations", "references")]
    save_detector(tmp_path, both, NO_ROWS, CONFIG, told)
    (tmp_path / "new.jsonl").write_text(json.dumps({"prompt": "Shall I?", "answer": "Yes."}) + "\n")
    arguments = ["score", "--detector", tmp_path, "--responses", tmp_path / "new.jsonl", "--base", tiny_model]
    assert run(*arguments, "--sae", dictionary, "--output", tmp_path / "scores.csv").exit_code == 0
    row = Generation(
        arm="", set="", prompt_id="1", domain="", sample=0, prompt="Shall I?", reasoning="", answer="Yes.", n_tokens=0,
        finish="stop", seed=0,
    )  # fmt: skip
    passages = [generation_passage(load_tokenizer(tiny_model, told), row)]
    activations = stream(truncate(load_base(tiny_model), 0), load_tokenizer(tiny_model, None), passages)
    read = response_features("r", load_dictionary(dictionary, 0, "cpu")[0], key, pd.DataFrame({"line": [1]}), passages,
                             activations)  # fmt: skip
    expected = Detector.load(tmp_path).probabilities(read.parts["answer"].measure(CONFIG.pooling))
    assert pd.read_csv(tmp_path / "scores.csv")["probability"].tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_another_dictionary_is_refused(tiny_model, dictionary, tmp_path):
    Detector.fit(population("generations", KEY, 40), 4, CONFIG).save(tmp_path)
    (tmp_path / "new.jsonl").write_text(json.dumps({"prompt": "a", "answer": "b"}) + "\n")
    arguments = ["score", "--detector", tmp_path, "--responses", tmp_path / "new.jsonl", "--base", tiny_model]
    result = run(*arguments, "--sae", dictionary, "--output", tmp_path / "scores.csv")
    assert isinstance(result.exception, InputError)
    assert "means nothing in another" in str(result.exception)
    assert not (tmp_path / "scores.csv").exists()
