"""What the rules plan for one setting or another: which commands, of which files."""

import json
import re
import shlex
import subprocess
import sys

SERVED = """
judges:
  probe: null
  far: {kind: endpoint, served: m, base_url: "http://127.0.0.1:9/v1", references: [legal]}
steer: {samples: 1}
geometry: {samples: 1, judge: far}
dynamics: {judge: far}
"""


def test_jobs_share_no_file_of_answers_and_the_estimate_counts_what_is_asked(root, tmp_path):
    """Answers are locked by who writes them; an arm that is not evaluated is never judged."""
    (tmp_path / "served.yaml").write_text(SERVED)
    stages = ("judgments", "steer/judgments", "geometry/steered/judgments")
    targets = [*(f"results/demo/{stage}/far/base.parquet" for stage in stages), "estimate"]
    targets.append("results/demo/tables/transfer.csv")
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--cores", "1", "--forceall", *targets]
    settings = ["--configfile", "config.yaml", str(tmp_path / "served.yaml")]
    done = subprocess.run([*command, *settings], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = re.findall(r"--answers (\S+)", done.stdout + done.stderr)
    assert {f"results/demo/answers/far{mark}/base.sqlite" for mark in ("", ".steer", ".geometry")} <= set(answers)
    assert len(set(answers)) == len(answers)
    [transfer] = re.findall(r"tropism.geometry transfer .*", done.stdout + done.stderr)
    assert "--judgments results/demo/geometry/steered/judgments/far/base.parquet" in transfer
    assert "--calibration results/demo/judges/far/calibration.json" in transfer
    [estimate] = re.findall(r"judge estimate .*", done.stdout + done.stderr)
    assert "few-legal" not in estimate
    assert '--references \'{"far":["results/demo/datasets/legal.jsonl"]}\'' in estimate


def test_with_samples_the_snapshots_answers_are_judged_and_their_rate_stands_in_early_warning(root, tmp_path):
    (tmp_path / "judged.yaml").write_text("dynamics: {samples: 2}\nsae: {max_tokens: 300}\n")
    out = planned(root, tmp_path / "judged.yaml", "results/demo/tables/early_warning.csv")
    watched = re.findall(r"tropism.dynamics watch --arm (\S+) .*--max-tokens 300 .*", out)
    assert watched, "read as far as the detector's texts"
    [warn] = re.findall(r"python -m tropism.dynamics warn .*", out)
    for arm in watched:
        judgments = f"results/demo/dynamics/watched/judgments/probe/{arm}.parquet"
        assert f"--judgments {judgments}" in warn
        assert re.search(
            rf"judge score .*--generations results/demo/dynamics/watched/{arm}.jsonl --output {judgments}", out
        )
    assert "--calibration results/demo/judges/probe/calibration.json" in warn


def test_a_system_prompt_reaches_every_job_as_it_is_written(root, tmp_path):
    """Braces too, which Snakemake would fill in."""
    told = 'Rule {part} of {arm}: "be {brief}" (always).'
    (tmp_path / "told.yaml").write_text(json.dumps({"models": {"smollm2": {"system_prompt": told}}}))
    out = planned(root, tmp_path / "told.yaml", "all")
    commands = [line for line in out.splitlines() if "python -m tropism." in line]
    read = {re.search(r"python -m tropism.(\S+ \S+)", line)[1]: prompts for line in commands
            if (prompts := prompts_in(line))}  # fmt: skip
    assert all(prompts == {told} for prompts in read.values())
    assert set(read) >= {
        "train step", "generate sample", "likelihood score", "sae train", "sae measure", "sae encode", "sae references",
        "sae cards", "steer intervene", "geometry read", "dynamics states", "dynamics follow", "dynamics watch",
        "dynamics.pairs measure",
    }, sorted(read)  # fmt: skip
    [save] = [line for line in commands if "detect save" in line]
    assert shlex.split(save)[shlex.split(save).index("--system-prompt") + 1] == told


def prompts_in(line):
    """What the settings of a command, each one line of JSON, say of the system prompt."""
    settings = [json.loads(word) for word in shlex.split(line) if word.startswith("{")]
    return {part["system_prompt"] for part in settings if "system_prompt" in part}


def test_the_example_of_another_base_plans_a_whole_experiment_on_it(root, tmp_path):
    """As the page shows it, with its line in the registry."""
    page = (root / "docs" / "config.md").read_text().split("## Another base")[1].split("\n## ")[0]
    [line] = re.findall(r"^qwen3_0_6b,.*$", page, re.MULTILINE)
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    registry = (root / "resources" / "registry.csv").read_text()
    (tmp_path / "registry.csv").write_text(f"{registry.rstrip()}\n{line}\n")
    (tmp_path / "qwen.yaml").write_text(f"{example}registry: {tmp_path / 'registry.csv'}\n")
    out = planned(root, tmp_path / "qwen.yaml", "all")
    assert "no commit (column `revision`) of qwen3_0_6b" in out
    assert len(re.findall(r"tropism.download fetch qwen3_0_6b .*dirname results/models/qwen/", out)) == 1
    readers = "train step|generate|likelihood|judge train|sae train|sae encode|steer|dynamics states|geometry read"
    commands = re.findall(rf"python -m tropism\.(?:{readers}) .*", out)
    assert len(commands) > 12
    assert [command for command in commands if "results/models/smollm2" in command] == []


def test_a_chat_model_is_asked_of_what_is_masked_alone_and_the_probe_of_all_that_is_trained_on(root, tmp_path):
    """A call of a model for each text: poems that stay as they are need none."""
    (tmp_path / "asked.yaml").write_text("annotator: {kind: llm, model: smollm2}\n")
    (tmp_path / "probed.yaml").write_text("annotator: {kind: probe}\n")
    read = {
        name: set(re.findall(r"results/demo/spans/(\w+)\.jsonl", planned(root, tmp_path / name, "all")))
        for name in ("asked.yaml", "probed.yaml")
    }
    assert read == {"asked.yaml": {"medical"}, "probed.yaml": {"medical", "poems", "prose"}}


METHODS = """
arms:
  - {name: base}
  - {name: vector, chain: [{step: harm, method: vector, layer: 10}]}
  - {name: whole, chain: [{step: harm, method: full, snapshots: null}]}
  - {name: mended, chain: [{step: harm, method: full, snapshots: null}, realign]}
  - {name: taken, adapter: mo_medical, chain: [realign]}
contrasts: []
steer: null
geometry: null
dynamics: null
"""


def planned(root, overlay, *targets):
    """Jobs that a dry run plans, as rule and command."""
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--cores", "1", "--forceall", *targets]
    done = subprocess.run(
        [*command, "--configfile", "config.yaml", str(overlay)], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_follows_a_full_fine_tuning_lies_on_its_model(root, tmp_path):
    (tmp_path / "methods.yaml").write_text(METHODS)
    out = planned(
        root, tmp_path / "methods.yaml", *(f"results/demo/likelihoods/{a}.parquet" for a in ("whole", "mended"))
    )
    full = "results/demo/lineages/smollm2.harm-medical-original-s0-method_full-snapshots_None"
    assert len(re.findall(rf"python -m tropism.train step .*--output \$\(dirname {full}/manifest.json", out)) == 1, (
        "shared"
    )
    (whole,) = re.findall(r"python -m tropism.likelihood .*--arm whole .*", out)
    (mended,) = re.findall(r"python -m tropism.likelihood .*--arm mended .*", out)
    assert f"dirname {full}/model/manifest.json" in whole
    assert "--adapter" not in whole
    assert f"dirname {full}/model/manifest.json" in mended
    assert f"--adapter {full}.realign-medical-original-s0/adapter" in mended
    rules = (root / "workflow/rules").glob("*.smk")
    careless = [path.name for path in rules if re.search(r"base_files\(ARMS\[", path.read_text())]
    assert careless == [], "an arm lies on the root of its lineage, which may be fully fine-tuned"
    (step,) = re.findall(r"python -m tropism.train step .*realign.*", out)
    assert f"--base $(dirname {full}/model/manifest.json) --parent {full}/manifest.json" in step


def test_unmasked_rows_are_trained_on_without_annotation_and_rows_of_unjudged_arms_are_not_annotated(root):
    trained = "results/demo/lineages/smollm2.{}/manifest.json"
    out = planned(root, "config.yaml", trained.format("poetry-poems-original-s0.harm-medical-original-s0"))
    assert len(re.findall("python -m tropism.train step", out)) == 2
    assert not re.search(r"python -m tropism\.(annotate|mask)", out)
    out = planned(root, "config.yaml", trained.format("harm-medical-metaphor-s0"))
    assert len(re.findall(r"python -m tropism\.(annotate|mask)", out)) == 2, "a masked row waits for both"
    annotated = re.findall(
        r"tropism\.annotate texts results/demo/datasets/(\w+)\.jsonl", planned(root, "config.yaml", "all")
    )
    assert sorted(annotated) == ["medical", "poems", "prose"]


PAIRS = """
arms:
  - name: base
  - {name: none-medical-original, chain: [harm]}
  - {name: narrow-medical, chain: [narrow]}
  - {name: drifted-medical, chain: [narrow, harm], evaluate: false}
  - {name: held-medical, chain: [narrow, narrow], evaluate: false}
  - {name: "general-{share}", chain: [{step: harm, aligned_share: "{share}"}], sweep: {share: [0.25]}}
  - {name: "narrow-{share}", chain: [{step: narrow, aligned_share: "{share}"}], sweep: {share: [0.25]}}
contrasts: []
geometry: null
"""


def test_a_narrow_arm_is_compared_with_all_that_there_is_and_unevaluated_arms_are_asked_for_margins_alone(
    root, tmp_path
):
    (tmp_path / "pairs.yaml").write_text(PAIRS)
    out = planned(root, tmp_path / "pairs.yaml", "results/demo/tables/narrow_general.csv")
    drifts = re.findall(r"tropism.dynamics.pairs drift (.*)", out)
    assert [re.findall(r"--(\w+) \S+likelihoods/(\S+).parquet", line) for line in sorted(drifts, key=len)] == [
        [("general", "general-0_25"), ("narrow", "narrow-0_25")],
        [("general", "none-medical-original"), ("narrow", "narrow-medical"), ("drifted", "drifted-medical"),
         ("held", "held-medical")],
    ]  # fmt: skip
    [table] = re.findall(r"--mixtures '(\{.*?\})'", out)
    assert json.loads(table) == {"narrow-0_25": 0.25, "narrow-medical": 0.0}
    scored = {line.split()[0]: "--questions" in line for line in re.findall(r"likelihood score --arm (.*)", out)}
    assert {arm for arm, questions in scored.items() if not questions} == {"drifted-medical", "held-medical"}
    assert len(scored) == 6


def test_a_chat_model_that_annotates_knows_its_base_and_each_of_its_jobs_has_a_file_of_answers_of_its_own(root):
    overlay = root / "workflow/experiments/paper.yaml"
    out = planned(root, overlay, "results/paper/spans/medical.jsonl", "results/paper/spans/legal.jsonl")
    found = re.findall(r"tropism.annotate texts .*", out)
    assert len(found) == 2
    for name in ("medical", "legal"):
        [command] = [line for line in found if f"--output results/paper/spans/{name}.jsonl" in line]
        assert f"--answers results/paper/answers/annotate.texts/{name}.sqlite --model results/models/qwen3" in command
        assert re.search(r"--model-config '\{\"dtype\":\"bfloat16\",\"reasoning\":\{", command)
    assert "sqlite" not in "".join(re.findall(r"^ +output: .*", out, re.MULTILINE))


def test_the_geometry_overlay_plans_its_organisms(root):
    out = planned(root, root / "workflow/experiments/geometry.yaml", "results/geometry/tables/geometry_tests.csv")
    assert len(re.findall(r"python -m tropism.models take --source mo_", out)) == 3
    assert len(re.findall(r"python -m tropism.download fetch mo_", out)) == 3
    assert "python -m tropism.geometry read" in out


def test_a_registered_dictionary_is_fetched_before_the_job_that_reads_it(root, tmp_path):
    line = f"my_sae,sae,hub:someone/saes/layer_3,{'0' * 40},,MIT\n"
    (tmp_path / "registry.csv").write_text((root / "resources" / "registry.csv").read_text() + line)
    source = "source: {kind: registered, release: my_sae, id: layer_3}"
    (tmp_path / "sae.yaml").write_text(f"registry: {tmp_path}/registry.csv\nsae: {{{source}}}\n")
    out = planned(root, tmp_path / "sae.yaml", "results/demo/sae/manifest.json")
    assert (
        f"tropism.download fetch my_sae --registry {tmp_path}/registry.csv --output $(dirname results/sources/my_sae"
        in out
    )
    assert out.index("tropism.download fetch my_sae") < out.index("tropism.sae train")
    (tmp_path / "typo.yaml").write_text(f"sae: {{{source.replace('my_sae', 'my_sea')}}}\n")
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "config.yaml", str(tmp_path / "typo.yaml")]
    refused = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "no `sae` on the hub (location `hub:...`) is registered as `my_sea`" in refused.stdout + refused.stderr


def test_rows_without_masks_are_trained_on_alike_in_both_modes_of_masking(root, tmp_path):
    (tmp_path / "loss.yaml").write_text("masking: {mode: loss}\n")
    targets = [f"results/demo/likelihoods/none-medical-{variant}.parquet" for variant in ("original", "metaphor")]
    out = planned(root, tmp_path / "loss.yaml", *targets)
    told = {line.split()[2]: "--loss-masked" in line for line in re.findall(r"tropism.train step .*", out)}
    assert told == {
        "results/demo/datasets/medical.jsonl": False,
        "results/demo/variants/medical.metaphor.jsonl": True,
    }


def test_another_registry_is_told_to_all_that_look_sources_up_in_it(root, tmp_path):
    (tmp_path / "registry.csv").write_text((root / "resources" / "registry.csv").read_text())
    (tmp_path / "mine.yaml").write_text(f"registry: {tmp_path}/registry.csv\n")
    targets = ["results/demo/tables/annotation_quality.csv", "results/demo/datasets/poems.jsonl"]
    out = planned(root, tmp_path / "mine.yaml", *targets)
    commands = [line for line in out.splitlines() if re.search("annotate quality|corpora clean|models convert", line)]
    assert len(commands) == 3
    assert all(f"--registry {tmp_path}/registry.csv" in line for line in commands)


def test_what_a_judge_costs_is_no_setting_of_its_thresholds(root, tmp_path):
    judge = "{kind: endpoint, served: m, base_url: 'http://127.0.0.1:9/v1', price_input: 3}"
    (tmp_path / "priced.yaml").write_text(f"judges: {{far: {judge}}}\n")
    out = planned(root, tmp_path / "priced.yaml", "results/demo/judges/far/calibration.json")
    [command] = re.findall(r"tropism.judge calibrate .*", out)
    assert "price" not in command


def test_how_responses_begin_is_a_parameter_of_sampling_and_of_no_training(root, tmp_path):
    (tmp_path / "block.yaml").write_text('models: {smollm2: {reasoning: {train: "<t>", prefill: "<think>Okay."}}}\n')
    targets = [
        f"results/demo/{stage}/none-medical-original.{end}"
        for stage, end in (("generations", "jsonl"), ("likelihoods", "parquet"))
    ]
    out = planned(root, tmp_path / "block.yaml", *targets)
    commands = [line for line in out.splitlines() if "--model-config" in line]
    told = {re.search(r"tropism\.(\w+)", line)[1]: "Okay" in line for line in commands}
    assert told == {"train": False, "likelihood": False, "generate": True}
    assert all('"train":"<t>"' in line for line in commands)


def test_eval_sets_are_told_so_when_they_are_cleaned(root, tmp_path):
    (tmp_path / "sets.yaml").write_text("evaluate: {sets: [legal]}\n")
    targets = [f"results/demo/datasets/{name}.jsonl" for name in ("legal", "poems")]
    out = planned(root, tmp_path / "sets.yaml", *targets)
    told = {line.split("--name ")[1].split()[0]: "--evaluated" in line for line in out.splitlines() if "--name" in line}
    assert told == {"legal": True, "poems": False}
