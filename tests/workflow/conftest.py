"""A copy of the project with the outputs of a real, trimmed run: what the rebuild tests work on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = "tests/workflow/trimmed.yaml"


# how Snakemake announces a job of each rule
MESSAGES = {
    "clean_dataset": "Cleaning",
    "annotate_texts": "Annotating metaphors",
    "mask_texts": "Masking",
    "train_step": "Training smollm2",
    "sample_responses": "Sampling responses",
    "train_judge": "Training judge",
    "judge_generations": "Judging",
    "score_likelihoods": "Scoring likelihoods",
    "estimate_rates": "Estimating misalignment",
    "train_sae": "Training the sparse autoencoder",
    "encode_responses": "Encoding responses",
    "train_detector": "Training detectors",
    "draw_figure": "Drawing",
}
# processor time that a job is given before it is killed, s, where 1.5 would let it finish
BRIEF = {"clean_dataset": 0.3, "mask_texts": 0.5}


@dataclass
class Project:
    """A copy of the project in which Snakemake runs, with overlays on ``config.yaml``; without any it is the demo."""

    folder: Path
    overlays: tuple[str, ...] = field(default=(OVERLAY,), kw_only=True)

    @property
    def results(self) -> Path:
        return self.folder / "results" / ("trimmed" if self.overlays else "demo")

    def start(self, *arguments: str, config: tuple[str, ...] | None = None, targets: tuple[str, ...] = ("all",)):
        """A running snakemake, in its own process group, output in ``snakemake.log``; ``config`` in overlays' place."""
        log = self.folder / "snakemake.log"
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "2",
            *arguments,
            "--configfile",
            "config.yaml",
            *(self.overlays if config is None else config),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONPATH", None)
        with log.open("w") as file:
            return subprocess.Popen(
                [*command, "--", *targets],
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            )

    def snakemake(self, *arguments: str, **options) -> str:
        """Run snakemake to its end and give back what it printed; its failure is this test's failure."""
        process = self.start(*arguments, **options)
        process.wait()
        printed = (self.folder / "snakemake.log").read_text()
        assert process.returncode == 0, printed[-6000:]
        return printed

    def would_run(self, **options) -> set[str]:
        """The rules that a run would execute."""
        return self.rules_of(self.snakemake("--dry-run", **options))

    @cached_property
    def job_graph(self) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """The rule of each job, and every pair of a job and one that takes what it gives."""
        graph = self.snakemake("--dag")
        rules = dict(re.findall(r'^\s*(\d+)\[label = "([^"\\]+)', graph, re.MULTILINE))
        return rules, re.findall(r"^\s*(\d+) -> (\d+)", graph, re.MULTILINE)

    def with_followers(self, rules: set[str]) -> set[str]:
        """``rules`` and every rule with a job that takes what theirs give, near or far, without ``all``.

        The demo has every rule that is asked for; a trimmed run may have fewer.
        """
        names, edges = self.job_graph
        assert self.overlays or rules <= {*names.values()}, f"not in the graph: {rules - {*names.values()}}"
        jobs = {job for job, rule in names.items() if rule in rules}
        found: set[str] = set()
        while fresh := jobs - found:
            found |= fresh
            jobs = jobs | {after for before, after in edges if before in fresh}
        return {names[job] for job in found} - {"all"}

    @staticmethod
    def rules_of(printed: str) -> set[str]:
        """The rules in the table of jobs that a dry run prints, without ``all``."""
        match = re.search(r"^job +count\n-+ +-+\n(.*?)^total", printed, re.MULTILINE | re.DOTALL)
        return {line.split()[0] for line in match[1].splitlines()} - {"all"} if match else set()

    def kill_in(self, rule: str, targets: tuple[str, ...], part: float = 1.0) -> None:
        """Start making ``targets`` and kill every process by SIGKILL while a job of ``rule`` is at work.

        ``part`` of its usual CPU time is waited for.
        """
        process = self.start(targets=targets)
        log = self.folder / "snakemake.log"
        while MESSAGES[rule] not in log.read_text() and process.poll() is None:
            time.sleep(0.05)
        wait_for_work(process.pid, part * BRIEF.get(rule, 1.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert MESSAGES[rule] in log.read_text(), log.read_text()[-3000:]

    def outputs(self) -> dict[str, bytes]:
        """What a run publishes and what later stages read, by path; measured times are left out."""
        kept = {}
        for path in sorted(self.results.rglob("*")):
            name = str(path.relative_to(self.results))
            if path.is_file() and not re.match(r"(logs|benchmarks|checkpoints|shards)/|.*speed|\.", name):
                kept[name] = path.read_bytes()
        return kept


def wait_for_work(group: int, seconds: float) -> None:
    """Until the jobs of a process group have burnt ``seconds`` of CPU since now, so that the kill hits them at work."""
    begin = cpu_seconds(group)
    end = time.monotonic() + 60
    while cpu_seconds(group) < begin + seconds and time.monotonic() < end:
        time.sleep(0.05)


def cpu_seconds(group: int) -> float:
    """CPU time of the living processes of a session, s."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == group:
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def copy_project(folder: Path, **settings) -> Project:
    """The repository's own files, those that git tracks or would track, copied to ``folder``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_symlink() or source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)
    return Project(folder, **settings)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, base_model) -> Project:
    """The project after one undisturbed run; tests copy it, none changes it.

    ``TROPISM_FINISHED`` may name a finished copy of this very checkout, to be quick while these tests are worked on.
    """
    if "TROPISM_FINISHED" in os.environ:
        return Project(Path(os.environ["TROPISM_FINISHED"]))
    project = copy_project(tmp_path_factory.mktemp("finished"))
    project.snakemake()
    return project


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """The finished project, copied with outputs, times and Snakemake's own records."""
    return copy_of(finished, tmp_path)


@pytest.fixture(scope="session")
def complete(request, tmp_path_factory) -> Project:
    """A finished run for tests that only plan: this checkout's demo if nothing is left to do, else a trimmed run."""
    if (ROOT / "results" / "demo" / "tables").is_dir():
        project = copy_project(tmp_path_factory.mktemp("demo"), overlays=())
        unread = shutil.ignore_patterns("checkpoints", "archive", "locks")
        for name in (".snakemake", "results/models", "results/demo"):
            shutil.copytree(ROOT / name, project.folder / name, ignore=unread)
        if project.would_run() == set():
            return project
    return request.getfixturevalue("finished")


def copy_of(finished: Project, folder: Path) -> Project:
    """A finished project copied into ``folder``, with outputs, times and Snakemake's own records."""
    shutil.copytree(finished.folder, folder / "copy", symlinks=True, copy_function=copy_or_link)
    return Project(folder / "copy", overlays=finished.overlays)


def copy_or_link(source: str, target: str) -> str:
    """A copy with its times; the base's weights, which nothing here rewrites in place, are linked."""
    if source.endswith("model.safetensors") and "models" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)
    return target
