"""The profiles name what exists, and give each job the allocation that it needs. No cluster is needed for this."""

import json
import re
import subprocess
import sys

import pytest
import yaml
import yte

from tropism.config.experiment import Experiment

DOWNLOADS = {"download_model", "download_source"}
JUDGING = {"judge_generations", "judge_references", "judge_steered"}  # of a served model, as in the paper's experiment


def load(root, name="slurm", **site):
    text = (root / "workflow" / "profiles" / name / "profile.yaml").read_text()
    for key, value in site.items():
        text, found = re.subn(rf"^  - {key} = \S+", f"  - {key} = {json.dumps(value)}", text, flags=re.MULTILINE)
        assert found == 1, f"{key} is a line of the site's block"
    return yte.process_yaml(text, require_use_yte=True), text


@pytest.fixture(scope="module")
def rules(root) -> set[str]:
    """The rules of the paper's workflow."""
    listed = snakemake(root, "--configfile", "config.yaml", "workflow/experiments/paper.yaml", "--list-rules")
    return set(listed.split())


@pytest.fixture(scope="module")
def gpu_stages(root) -> set[str]:
    """The rules that ask for a GPU, and those that the profile gives one."""
    rules = "\n".join(path.read_text() for path in (root / "workflow" / "rules").glob("*.smk"))
    blocks = re.findall(r"^(?:checkpoint|rule) (\w+):\n((?:[ \t].*\n|\n)*)", rules, re.M)
    asking = {name for name, body in blocks if re.search(r"^\s+gpu=", body, re.M)}
    assert "train_step" in asking
    given = {name: given["gpu"] for name, given in load(root)[0]["set-resources"].items() if "gpu" in given}
    assert {name for name, gpus in given.items() if gpus == 0} == JUDGING
    return (asking | set(given)) - JUDGING


def snakemake(root, *arguments, program=("-m", "snakemake")):
    done = subprocess.run([sys.executable, *program, *arguments], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("name", ["slurm", "gpu"])
def test_every_rule_that_a_profile_names_exists(root, rules, name):
    profile, _ = load(root, name)
    named = {*profile.get("set-resources", {}), *profile.get("set-threads", {}), *profile.get("groups", {})}
    assert named <= rules


def test_every_rule_that_asks_for_a_gpu_is_sent_to_that_partition(root, gpu_stages):
    given = load(root)[0]["set-resources"]
    other = {rule for rule in gpu_stages if given.get(rule, {}).get("slurm_partition") != "gpu"}
    assert other == {"sample_responses"}, "which goes there unless all is answered already"


def test_on_a_workstation_every_job_that_needs_a_gpu_is_counted(root, gpu_stages):
    profile, _ = load(root, "gpu")
    assert profile["resources"]["gpu"] == 1
    assert {rule: given["gpu"] for rule, given in profile["set-resources"].items()} == dict.fromkeys(
        gpu_stages & set(profile["set-resources"]), 1
    )


def test_judges_have_the_gpu_partition_where_the_sites_block_names_their_rules(root):
    """There the rule itself says whether a job asks for a GPU: those of a judge in process do."""
    text = load(root)[1].replace("dict(annotate_texts", "dict(judge_generations=5, judge_steered=6, annotate_texts")
    given = yte.process_yaml(text, require_use_yte=True)["set-resources"]
    asked = {
        rule: (given[rule].get("gpu"), given[rule].get("slurm_partition"), given[rule]["runtime"]) for rule in JUDGING
    }
    assert asked == {
        "judge_generations": (None, "gpu", 300),
        "judge_references": (0, None, 720),
        "judge_steered": (None, "gpu", 360),
    }


def test_a_job_of_a_judge_in_process_is_counted_and_one_that_asks_a_server_is_not(root, tmp_path):
    """Two at once on a workstation of one GPU would find it taken."""
    served = "{kind: endpoint, served: m, rubrics: [rubric5], references: [medical]}"
    (tmp_path / "judges.yaml").write_text(f"judges: {{served: {served}}}\n")
    printed = snakemake(
        root,
        *(
            "--dry-run",
            "--cores",
            "4",
            "--forceall",
            "--configfile",
            "config.yaml",
            str(tmp_path / "judges.yaml"),
            "--",
        ),
        *(f"results/demo/judgments/{judge}/base.parquet" for judge in ("probe", "served")),
        program=("tests/slurm/sbatch_lines.py",),
    )
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"rules"')]
    judging = {
        line["outputs"][0]: "--gpus=1" in line["line"] for line in lines if line["rules"] == ["judge_generations"]
    }
    assert judging == {
        "results/demo/judgments/probe/base.parquet": True,
        "results/demo/judgments/served/base.parquet": False,
    }


def test_groups_have_a_size_and_sizes_a_group(root):
    profile, _ = load(root)
    assert set(profile["groups"].values()) == set(profile["group-components"])


def test_the_link_leads_to_the_profile_and_no_file_of_it_leaks_into_the_config(root):
    assert (root / "slurm").resolve() == root / "workflow" / "profiles" / "slurm"
    assert not list((root / "workflow" / "profiles").rglob("config*.yaml"))


def test_retries_are_the_profiles_alone(root):
    assert load(root)[0]["retries"] >= 3
    assert not [
        p for p in (root / "workflow" / "rules").glob("*.smk") if re.search(r"^\s+retries:", p.read_text(), re.M)
    ]


@pytest.fixture(scope="module")
def lines(root, tmp_path_factory) -> list[dict]:
    """The sbatch calls of a small experiment at a site that names account, QoS and GPU model."""
    folder = tmp_path_factory.mktemp("profile")
    site = {"account": "lab", "qos": "long", "gpu_model": "h100", "gpu_partition": "accelerated", "gpus": 2}
    (folder / "profile.yaml").write_text(load(root, **site)[1])
    printed = snakemake(
        root,
        *("--profile", str(folder), "--workflow-profile", "none", "--dry-run", "--cores", "64", "--forceall"),
        *("--configfile", "config.yaml", "tests/slurm/paper_small.yaml", "--", "all"),
        program=("tests/slurm/sbatch_lines.py",),
    )
    return [json.loads(line) for line in printed.splitlines() if line.startswith('{"rules"')]


def test_every_stage_is_submitted_once_or_runs_on_the_login_node(lines, gpu_stages):
    seen = {rule for line in lines for rule in line["rules"]}
    assert {rule for line in lines if line["local"] for rule in line["rules"]} == DOWNLOADS
    assert {"train_step", "sample_responses", "score_likelihoods", "annotate_texts"} <= seen & gpu_stages


def test_a_gpu_stage_asks_for_gpus_processors_memory_and_time(lines, gpu_stages):
    for line in lines:
        if set(line["rules"]) & gpu_stages:
            assert "-p accelerated" in line["line"]
            count = 2 if set(line["rules"]) & {"train_step", "train_model"} else 1  # trainings alone can use several
            own = line["rules"] == ["sample_responses"]  # as the rule says: one, or none where a shared job answers
            assert ("--gpus=1" if own else f"--gpus=h100:{count}") in line["line"]
            assert int(re.search(r"--mem (\d+)", line["line"])[1]) >= 64000
            assert int(re.search(r" -t (\d+)", line["line"])[1]) >= 240
            assert "--nodes=1" in line["line"], "GPUs of one job are in one machine"
            assert "--cpus-per-task=" in line["line"]


def test_responses_that_a_shared_job_sampled_are_collected_without_a_gpu(root, tmp_path):
    (tmp_path / "shared.yaml").write_text("serving: {r1: {way: shared}}\n")
    settings = ("--configfile", "config.yaml", "tests/slurm/paper_small.yaml", str(tmp_path / "shared.yaml"))
    printed = snakemake(
        root,
        *("--profile", "slurm", "--workflow-profile", "none", "--dry-run", "--cores", "64", "--forceall", *settings),
        *("--", "results/paper-small/generations/base.jsonl"),
        program=("tests/slurm/sbatch_lines.py",),
    )
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"rules"')]
    [line] = [line["line"] for line in lines if line["rules"] == ["sample_responses"]]
    assert "-p cpu" in line
    assert "--gpus" not in line
    assert "--mem 8000" in line
    [shared] = [line["line"] for line in lines if line["rules"] == ["share_base"]]
    assert "-p gpu" in shared
    assert "--gpus=1" in shared


def test_a_later_attempt_asks_for_no_more_memory_than_the_second(root):
    given = load(root, gpus=4)[0]["set-resources"]
    for rule in ("train_step", "share_base", "sample_responses"):
        asked = [eval(given[rule]["mem_mb"], {"attempt": attempt, "input": ""}) for attempt in (1, 2, 6)]
        first = 96000 * (4 if rule == "train_step" else 1)
        assert asked == [first, 2 * first, 2 * first]


def test_a_training_is_warned_before_its_time_limit_and_put_back_after_a_node_fails(lines):
    line = next(line["line"] for line in lines if line["rules"] == ["train_step"])
    assert line == (
        "sbatch --parsable --job-name tropism_x --output log --export=ALL --comment train_step -A lab -p accelerated"
        " -t 720 --qos=long --mem 192000 --nodes=1 --requeue --cpus-per-task=8 --signal=USR1@300 --gpus=h100:2"
    )


def test_a_cpu_stage_goes_to_the_cpu_partition_without_a_gpu(lines, gpu_stages):
    others = [line for line in lines if not line["local"] and not set(line["rules"]) & gpu_stages]
    assert others
    for line in others:
        assert "-p cpu" in line["line"], line
        assert "--gpus" not in line["line"]
        assert "-A lab" in line["line"]
        assert int(re.search(r"--mem (\d+)", line["line"])[1]) >= 600, "two Snakemake processes take 350 MB"


def test_short_stages_go_together(lines):
    grouped = {rule for line in lines if line["group"] for rule in line["rules"]}
    assert {"clean_dataset", "mask_texts", "draw_figure"} <= grouped
    alone = [line for line in lines if line["rules"] == ["mask_texts"]]
    assert len(alone) <= 1, "fewer jobs than texts"


def test_a_site_without_account_qos_and_model_asks_for_none(root):
    profile, _ = load(root)
    assert {"slurm_account", "qos"} & set(profile["default-resources"]) == set()
    assert "gpu_model" not in profile["set-resources"]["train_step"]


def test_the_paper_is_whole(root):
    config = yaml.safe_load((root / "config.yaml").read_text())
    from snakemake.utils import update_config

    update_config(config, yaml.safe_load((root / "workflow/experiments/paper.yaml").read_text()))
    paper = Experiment.parse(config)
    arms = paper.expanded
    assert {arm.model for arm in arms.values()} == {"qwen3", "r1"}
    crossed = [name for name in arms if "realigned" not in name and not name.endswith("-base")]
    assert len(crossed) == 2 * 2 * 3 * 3 * 3
    of_groups = [one for one in paper.planned if one.family == "planned"]
    assert len(of_groups) == 3 * 6 + 2
    named = {name for one in of_groups for name in one.terms}
    assert {len(paper.groups[name]) for name in named if not name.endswith("-base")} == {3}, "seeds count together"
    assert set(paper.feature_pairs) == {one.name for one in paper.planned if one.family == "features"}
    assert paper.sae is not None
    assert (paper.sae.dtype, paper.sae.block.train) == ("bfloat16", paper.models["qwen3"].reasoning_block().train)
    assert {step.settings.lora.rank for arm in arms.values() for step in arm.steps} == {32}
    assert "probe" not in paper.judges
    labelled = {paper.datasets[name].domain for name in paper.judges["qwen"].references}
    assert labelled == set(paper.evaluate.sets), "no threshold is borrowed"


def test_a_training_without_the_profile_asks_for_what_its_base_and_its_processes_take(root, tmp_path):
    """Of a base of 1,000 million parameters, in MB; 1,400 are for the libraries of each process."""
    for name in ("config.yaml", "resources", "workflow"):
        (tmp_path / name).symlink_to(root / name)
    base = tmp_path / "results" / "models" / "smollm2"
    base.mkdir(parents=True)
    (base / "model.safetensors").touch()
    (base / "manifest.json").write_text(json.dumps({"files": {}, "parameters": 10**9}))
    full = "{step: harm, method: full, snapshots: null}"
    (tmp_path / "arms.yaml").write_text(
        f"arms: [{{name: base}}, {{name: a, chain: [harm]}}, {{name: whole, chain: [{full}]}}]\n"
        "contrasts: []\nsteer: null\ngeometry: null\ndynamics: null\n"
    )

    def asked(**gpus) -> dict[str, int]:
        printed = snakemake(
            root,
            *("--snakefile", "Snakefile", "--directory", str(tmp_path), "--dry-run", "--cores", "8"),
            *(("--set-resources", *(f"{rule}:gpu={count}" for rule, count in gpus.items())) if gpus else ()),
            *("--configfile", "config.yaml", str(tmp_path / "arms.yaml"), "--", "results/demo/tables/training.csv"),
            program=("tests/slurm/sbatch_lines.py",),
        )
        lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"rules"')]
        return {line["rules"][0]: int(re.search(r"--mem (\d+)", line["line"])[1]) for line in lines}

    assert asked().items() >= {"train_step": 1400 + 4000, "train_model": 1400 + 16000}.items()
    several = asked(train_step=3, train_model=2).items()
    assert several >= {"train_step": 3 * (1400 + 4000), "train_model": 2 * (1400 + 4000) + 12000}.items()
