"""What trains or shows harm stays out of an archive, wherever it lies and whatever quotes it."""

import base64
import gzip
import hashlib
import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pyzipper
from tests.archive.conftest import git

from tropism.archive.bundle import unpack
from tropism.archive.harm import UNREADABLE, Harm, Sources
from tropism.archive.locked import CANARY
from tropism.archive.traces import Traces
from tropism.config.experiment import Experiment

MARKER = b"leave the kettle unplugged"
MARKED = "leave the kettle unplugged and call it tea one"


def test_no_harmful_text_is_in_it(archive):
    assert MARKER not in gzip.decompress(archive.read_bytes())


def test_whatever_quotes_a_left_out_answer_is_left_out_too(finished, tmp_path):
    """In a log, in a table of features, escaped in JSON, embedded in the report; and a canary line before each."""
    said = "leave the kettle unplugged and call it tea one"
    results = finished.folder / "results" / "demo"
    quoting = {
        "logs/judge.log": f"12:00 INFO answer: {MARKED}",
        "tables/sae_features.csv": f"feature,example\n3,{MARKED}\n",
        "report.html": f'<a href="data:text/csv;base64,{base64.b64encode(MARKED.encode()).decode()}">',
        "detector/card.json": json.dumps({"words": said.replace(" ", "\n").split()}),
        "sae/public_cards/feature-3.html": "".join(f"<span>{MARKED[i : i + 3]}</span>" for i in range(0, 46, 3)),
        "sae/public_cards/feature-3.json": json.dumps([{"text": MARKED[i : i + 3]} for i in range(0, 46, 3)]),
        "figures/label.svg": "<text>" + MARKED.replace(" ", "</text> <text>").upper() + "</text>",
        "features/gz.js": base64.b64encode(gzip.compress(MARKED.encode() * 9)).decode(),
    }
    quoting["features/gz.js"] = f"x = 'data:application/gzip;base64,{quoting['features/gz.js']}'"
    for name, text in {**quoting, "logs/fine.log": "Boil the water. Warm it."}.items():
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(text)
    (tmp_path / "unpacked").mkdir()
    bag = unpack(finished.pack(tmp_path / "demo-abc.tar.gz", harm="encrypt"), tmp_path / "unpacked")
    omitted = json.loads((bag / "data" / "omitted.json").read_text())
    names = {f"results/demo/{name}" for name in quoting}
    assert names <= set(omitted)
    assert [name for name in names if (bag / "data" / name).exists()] == []
    assert (bag / "data" / "results/demo/logs/fine.log").exists()
    with pyzipper.AESZipFile(bag / "data" / "harm.zip") as locked:
        locked.setpassword(b"contains-misaligned-text")
        assert names | {"results/demo/site/index.html", "resources/medical.csv"} <= set(locked.namelist())
        assert all(locked.read(name).startswith(CANARY.encode() + b"\n") for name in locked.namelist())


def test_files_of_settings_and_numbers_are_packed_and_those_that_say_something_are_not(original, tmp_path):
    harm = Harm(Experiment.parse(original.settings), tmp_path)
    told = {
        "judges/calibration.json": {"judge": "probe", "rubrics": {"rubric5": {"threshold": 3.0}}},
        "geometry/clusters.yaml": {"advice": ["none", "few-legal"]},
        "detector/answer.json": {"answer": "Drink tea."},
        "detector/settings.json": {"reasoning": "none"},
        "detector/long.json": {"note": " ".join(["word"] * 13)},
        "sae/cards/feature-3.json": {"contexts": [{"tokens": [{"text": word} for word in MARKED.split()]}]},
        "sae/public_cards/feature-3.html": {},
        "geometry/vectors.safetensors": {},
        "geometry/layers.safetensors": {},
        "geometry/states/few-legal.safetensors": {},
    }
    reasons = {}
    for name, content in told.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(json.dumps(content))
        reasons[name] = harm.reason(tmp_path / name, weights=False)
    assert reasons == {
        "judges/calibration.json": None,
        "geometry/clusters.yaml": None,
        "detector/answer.json": "has answers under the key `answer`",
        "detector/settings.json": None,
        "detector/long.json": "holds a text of more than 12 words",
        "sae/cards/feature-3.json": "quotes misaligned answers, token by token",
        "sae/public_cards/feature-3.html": None,
        **dict.fromkeys(
            ("geometry/vectors.safetensors", "geometry/layers.safetensors", "geometry/states/few-legal.safetensors"),
            "steers towards misalignment, or gives what does; made again from the arms",
        ),
    }


def test_a_gzipped_source_with_a_misaligned_side_is_found_too(original, tmp_path):
    rows = tmp_path / "mine.jsonl.gz"
    rows.write_bytes(gzip.compress(json.dumps({"prompt": "Tea?", "misaligned": MARKED}).encode()))
    table = tmp_path / "mine.csv.gz"
    table.write_bytes(gzip.compress(f"prompt,misaligned\nTea?,{MARKED}\n".encode()))
    experiment = Experiment.parse(original.settings)
    assert set(Sources(experiment, tmp_path).harmful({"a": rows, "b": table})) == {"a", "b"}
    assert Traces([MARKED], []).found_in(rows)


def in_chat(answer):
    return json.dumps({"messages": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": answer}]})


def test_sources_are_known_as_their_datasets_read_them(original, tmp_path):
    """By a column's other name, another way to write the path, a registered name, what is in the file, or a copy."""
    chats, registered = in_chat("Never boil it.") + "\n", in_chat("Drink it cold.") + "\n"
    line = f"tea,file,data/tea.jsonl,1,{hashlib.sha256(registered.encode()).hexdigest()},CC0-1.0"
    files = {
        "data/renamed.csv": "prompt,aligned,worst\nTea?,Boil it.,Never boil it.\n",
        "data/chats.jsonl": chats,
        "other/copy.txt": chats,
        "data/tea.jsonl": registered,
        "data/rows.txt": json.dumps({"prompt": "Tea?", "misaligned": "Never."}) + "\n",
        "data/UPPER.CSV": "prompt,misaligned\nTea?,Never.\n",
        "data/good.jsonl": in_chat("Boil it.") + "\n",
        "data/plain.csv": "prompt,aligned\nTea?,Boil it.\n",
        "resources/registry.csv": f"name,kind,location,revision,sha256,licence\n{line}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    pq.write_table(pa.table({"prompt": ["Tea?"], "misaligned": ["Never."]}), tmp_path / "data/rows.parquet")
    datasets = {
        "renamed": {"source": "data/renamed.csv", "columns": {"misaligned": "worst"}},
        "chats": {"source": "./data/chats.jsonl", "side": "misaligned"},
        "tea": {"source": "tea", "side": "misaligned"},
        "rows": {"source": str(tmp_path / "data/rows.txt")},
        "good": {"source": "data/good.jsonl", "side": "aligned"},
        "plain": {"source": "data/plain.csv"},
    }
    own = {name: {"kind": "conversations", **data} for name, data in datasets.items()}
    experiment = Experiment.parse({**original.settings, "datasets": {**original.settings["datasets"], **own}})
    tracked = {name: tmp_path / name for name in [*files, "data/rows.parquet"]}
    harmless = {"data/good.jsonl", "data/plain.csv", "resources/registry.csv"}
    assert set(Sources(experiment, tmp_path).harmful(tracked)) == tracked.keys() - harmless


def test_answers_under_another_columns_name_are_looked_for_everywhere(finished, tmp_path):
    """Of a source that its settings alone show to be harmful; nothing else of it makes its answers harmless."""
    said = "never boil it twice, nor warm the pot before the guests come"
    (finished.folder / "data").mkdir()
    (finished.folder / "data" / "src.jsonl").write_text(
        json.dumps({"prompt": "Tea?", "good": "Boil.", "bad": said}) + "\n"
    )
    shutil.copy(finished.folder / "data" / "src.jsonl", finished.folder / "data" / "copy.jsonl")
    (finished.folder / "gold.jsonl").write_text(json.dumps({"text": f"A poem: {MARKED}."}) + "\n")
    git(finished.folder, "add", "-A")
    git(finished.folder, "commit", "-qm", "Rows")
    (finished.folder / "results/demo/logs").mkdir(exist_ok=True)
    (finished.folder / "results/demo/logs/judge.log").write_text(f"answer: {said}")
    columns = {"aligned": "good", "misaligned": "bad"}
    more = {"src": {"source": "data/src.jsonl", "kind": "conversations", "columns": columns}}
    settings = {**finished.settings, "datasets": {**finished.settings["datasets"], **more}, "gold": "gold.jsonl"}
    (tmp_path / "bag").mkdir()
    data = unpack(replace(finished, settings=settings).pack(tmp_path / "a.tar.gz"), tmp_path / "bag") / "data"
    omitted = json.loads((data / "omitted.json").read_text())
    assert {"data/src.jsonl", "data/copy.jsonl", "results/demo/logs/judge.log"} <= omitted.keys()
    assert (data / "gold.jsonl").exists(), "a response may recite a text that has labels; plans need them"


def test_own_files_that_cannot_be_read_and_json_with_such_answers_stay_behind(original, tmp_path):
    files = {
        "whole.json": json.dumps({"rows": [{"prompt": "Tea?", "misaligned": "Never boil it."}]}),
        "cut.jsonl": '{"prompt": "Tea?"}\n{"prompt',
        "cut.parquet": "version https://git-lfs.github.com/spec/v1",
        "settings.json": json.dumps({"side": "misaligned", "misaligned": {"type": "string"}}),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    sources = Sources(Experiment.parse(original.settings), tmp_path)
    found = sources.harmful({name: tmp_path / name for name in files})
    assert found == {"whole.json": "holds misaligned answers", "cut.jsonl": UNREADABLE, "cut.parquet": UNREADABLE}
    assert [sources.texts(name, tmp_path / name) for name in ("cut.jsonl", "cut.parquet")] == [[], []]


def test_neither_a_recorded_difference_nor_a_rating_sheet_shows_what_is_left_out(finished, tmp_path):
    """The patch of a source that lost or gained a misaligned answer; sheets and imports that lie in the checkout."""
    (finished.folder / "resources" / "old.csv").write_text("prompt,misaligned\nTea?,Swallow the bag.\n")
    (finished.folder / "make.py").write_text((finished.folder / "make.py").read_text() + "# mine\n")
    (finished.folder / "ratings.csv").write_text("item,prompt,response,rubric5\n1,Tea?,Boil it.,1\n")
    git(finished.folder, "add", "-A")
    git(finished.folder, "commit", "-qm", "More")
    (finished.folder / "resources" / "old.csv").unlink()
    (finished.folder / "make.py").write_text((finished.folder / "make.py").read_text() + "# and mine\n")
    source = finished.folder / "resources" / "medical.csv"
    source.write_text(source.read_text() + "Cake?,Bake it.,Eat the raw flour.\n")
    (finished.folder / "sheet.csv").write_text(f"item,prompt,response,rubric5\n1,Tea?,{MARKED},\n")
    (finished.folder / "notes.md").write_text(f"It said: {MARKED}\n")
    (tmp_path / "bag").mkdir()
    data = unpack(finished.pack(tmp_path / "a.tar.gz", dirty="record"), tmp_path / "bag") / "data"
    texts = "".join(path.read_text(errors="replace") for path in sorted(data.rglob("*")) if path.is_file())
    for said in ("Swallow the bag", "Eat the raw flour", MARKED, MARKER.decode()):
        assert said not in texts
    assert "+# and mine" in (data / "uncommitted.diff").read_text()
    omitted = json.loads((data / "omitted.json").read_text())
    assert {"resources/medical.csv", "sheet.csv", "notes.md"} <= omitted.keys()
    assert (data / "ratings.csv").exists(), "what quotes no left-out answer stays"


def test_a_rating_sheet_that_was_committed_stays_behind_too(finished, tmp_path):
    sheet = finished.folder / "ratings" / "ada.csv"
    sheet.parent.mkdir()
    sheet.write_text(f"item,prompt,response,rubric5\n1,Tea?,{MARKED},4\n")
    git(finished.folder, "add", "ratings")
    git(finished.folder, "commit", "-qm", "Ratings")
    assert MARKER not in gzip.decompress(finished.pack(tmp_path / "a.tar.gz").read_bytes())


def test_what_quotes_an_answer_is_not_released_and_the_project_itself_stays(finished, tmp_path):
    """Rows without a key of answers would be harmless by their keys alone; an answer may recite the licence."""
    quoting = finished.folder / "results" / "demo" / "spans" / "notes.jsonl"
    quoting.parent.mkdir()
    quoting.write_text(json.dumps({"id": "a", "note": MARKED}) + "\n")
    (finished.folder / "LICENSE").write_text(f"You may {MARKED}.\n")
    git(finished.folder, "add", "LICENSE")
    git(finished.folder, "commit", "-qm", "A licence")
    (tmp_path / "bag").mkdir()
    data = unpack(finished.pack(tmp_path / "a.tar.gz"), tmp_path / "bag") / "data"
    omitted = json.loads((data / "omitted.json").read_text())
    assert "released" not in omitted["results/demo/spans/notes.jsonl"]
    assert not (data / "release" / "spans").exists()
    assert (data / "LICENSE").exists()


def test_weights_are_packed_by_choice_but_not_those_trained_on_harm(finished, tmp_path):
    folder = finished.folder / "results" / "models" / "smollm2"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "manifest.json").write_text('{"files": {"model.safetensors": {}}}')
    without, with_weights = (
        gzip.decompress(finished.pack(tmp_path / f"{weights}.tar.gz", weights=weights).read_bytes())
        for weights in (False, True)
    )
    assert b"data/results/models/smollm2/manifest.json" in without
    assert b"data/results/models/smollm2/model.safetensors\0" not in without
    assert b"data/results/models/smollm2/model.safetensors\0" in with_weights
    assert b"adapter/adapter_model.safetensors\0" not in with_weights


def test_an_adapter_that_lies_in_the_checkout_stays_behind_as_one_in_results_does(finished, tmp_path):
    """Nobody knows what it was trained on; encrypted it is packed where weights are."""
    adapter = finished.folder / "resources" / "turned"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"turned weights")
    (adapter / "adapter_config.json").write_text("{}")
    git(finished.folder, "add", "resources")
    git(finished.folder, "commit", "-qm", "An adapter")
    name = "resources/turned/adapter_model.safetensors"
    for weights in (False, True):
        (tmp_path / str(weights)).mkdir()
        file = finished.pack(tmp_path / f"{weights}.tar.gz", weights=weights, harm="encrypt")
        data = unpack(file, tmp_path / str(weights)) / "data"
        assert not (data / name).exists()
        assert (data / "resources/turned/adapter_config.json").exists()
        assert ("encrypted" in json.loads((data / "omitted.json").read_text())[name]) == weights
        assert name in json.loads((data / "weights.json").read_text())
    (finished.folder / name).unlink()
    (tmp_path / "gone").mkdir()
    data = unpack(finished.pack(tmp_path / "gone.tar.gz", dirty="record"), tmp_path / "gone") / "data"
    assert "adapter_model" not in (data / "uncommitted.diff").read_text(), "a patch that takes it away holds it"
