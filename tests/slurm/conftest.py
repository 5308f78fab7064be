"""A SLURM of one node on this machine, and the project running on it through its own profile."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
import yte
from tests.workflow.conftest import Project, copy_or_link, copy_project

HERE = Path(__file__).resolve().parent
OVERLAY = "tests/slurm/small.yaml"
LINEAGE = "lineages/smollm2.harm-medical-metaphor-s0"
TARGET = f"results/small/{LINEAGE}/manifest.json"
# larger than the machine: what the profile asks for at full size is granted, and `jobs` keeps the real load down
CLAIMED = {"SLURM_LAB_CPUS": "64", "SLURM_LAB_MEM": "1000000", "SLURM_LAB_GPUS": "2"}
# so that a test can ask at its end how all of its jobs ended
CLAIMED["SLURM_LAB_MINJOBAGE"] = "7200"


@dataclass
class Cluster:
    """The daemons that ``cluster.sh`` starts, and the commands that talk to them."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def script(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [str(HERE / "cluster.sh"), *words],
            env={**os.environ, **CLAIMED, "SLURM_LAB_DIR": str(self.folder), **self.environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, *words: str) -> str:
        """A SLURM client's output."""
        return subprocess.run(words, env=self.clients(), capture_output=True, text=True, check=True).stdout

    def clients(self) -> dict[str, str]:
        """An environment in which SLURM's clients find this cluster."""
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "SLURM_CONF": str(self.folder / "etc" / "slurm.conf"), "PATH": path}
        environment.pop("PYTHONPATH", None)
        return {**environment, "OMP_NUM_THREADS": "1"}

    def jobs(self, *states: str) -> list[str]:
        """Numbers of the jobs in these states; of all that SLURM still knows, if none is given."""
        chosen = ",".join(states) or "all"
        return self.run("squeue", "--noheader", "--states", chosen, "--format", "%i").split()

    def states(self, folder: Path) -> list[str]:
        """The states of all jobs that were submitted from ``folder``, oldest first."""
        listed = self.run("squeue", "--noheader", "--states", "all", "--sort", "i", "--format", "%T|%Z")
        return [line.split("|")[0] for line in listed.splitlines() if line.endswith(f"|{folder}")]

    def cancel_all(self) -> None:
        self.run("scancel", "--user", subprocess.check_output(["id", "-un"], text=True).strip())
        wait_until(lambda: not self.jobs("RUNNING", "PENDING", "COMPLETING"), 60)


def wait_until(condition, seconds: float, every: float = 0.2) -> None:
    """Wait for a condition of another process; its failure to come is the test's failure."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(every)


@dataclass
class ClusterProject(Project):
    """A copy of the project whose Snakemake submits to the cluster."""

    cluster: Cluster
    runs: list[subprocess.Popen] = field(default_factory=list)

    @property
    def results(self) -> Path:
        return self.folder / "results" / "small"

    def profile(self, groups: dict[str, str], train_step: dict[str, Any]) -> Path:
        """The project's own profile for this cluster: its site's block stands, only waits and threads are shorter.

        ``groups`` puts further rules into shared allocations, whose jobs run one after another; SLURM is asked for
        the sum of what they want, so those want what the demo's model needs and no device each.
        """
        text = (self.folder / "workflow" / "profiles" / "slurm" / "profile.yaml").read_text()
        profile = yte.process_yaml(text, require_use_yte=True)
        profile |= {"jobs": 3, "latency-wait": 20, "slurm-init-seconds-before-status-checks": 1}
        profile["configfile"] = ["config.yaml", OVERLAY]
        profile["set-threads"] = dict.fromkeys(profile["set-threads"], 1)
        profile["set-resources"]["train_step"] |= train_step
        profile["groups"] |= groups
        profile["group-components"] |= dict.fromkeys(groups.values(), 100)
        for rule in groups.keys() & profile["set-resources"].keys():
            given = profile["set-resources"][rule]
            given.pop("nodes", None)
            given |= {"gpu": 0, "mem_mb": 2000}
        folder = self.folder / ".profile"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "profile.yaml").write_text(yaml.safe_dump(profile))
        return folder

    def submit(self, *targets: str, groups: dict[str, str] | None = None, **train_step: Any) -> subprocess.Popen:
        """A running ``snakemake --profile``, its output in ``snakemake.log``; ``train_step`` changes its resources."""
        command = [sys.executable, "-m", "snakemake", "--profile", str(self.profile(groups or {}, train_step))]
        with (self.folder / "snakemake.log").open("w") as file:
            run = subprocess.Popen(
                [*command, "--", *targets],
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self.cluster.clients(),
            )
        self.runs.append(run)
        return run

    def end(self) -> None:
        """End what a test may have left: each Snakemake first, or it would submit its jobs again."""
        for run in self.runs:
            run.kill()
            run.wait()
        self.cluster.cancel_all()

    def said(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    def finish(self, process: subprocess.Popen, seconds: float = 900) -> str:
        """Wait for the end of a run, which must be a success."""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            pytest.fail(f"still running after {seconds} s:\n" + self.said()[-5000:])
        assert process.returncode == 0, self.said()[-8000:]
        return self.said()


def installed() -> str | None:
    """None where SLURM is installed or could be, else why it cannot be."""
    if all(shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") for name in ("slurmctld", "munged")):
        return None
    if not shutil.which("apt-get"):
        return "SLURM is not installed and this system has no apt-get"
    if os.geteuid() != 0:
        return "SLURM is not installed and only root may install it (apt-get install slurm-wlm munge)"
    done = subprocess.run([str(HERE / "cluster.sh"), "install"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"SLURM could not be installed: {done.stderr.strip()[-300:]}"


def free_ports(count: int = 2) -> int:
    """The first of ``count`` ports in a row that nothing listens on."""
    for first in range(20000 + os.getpid() % 10000, 60000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The running cluster; stopped at the end with all its jobs."""
    reason = installed()
    if reason:
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), {"SLURM_LAB_PORT": str(free_ports())})
    cluster.script("start")
    try:
        yield cluster
    finally:
        cluster.script("stop", check=False)


@pytest.fixture(scope="session")
def trained(cluster, tmp_path_factory, base_model) -> Project:
    """The project after an undisturbed training, on this machine without SLURM; not made where no cluster can be.

    ``TROPISM_TRAINED`` may name such a copy of this very checkout, to be quick while these tests are worked on.
    """
    if "TROPISM_TRAINED" in os.environ:
        return Project(Path(os.environ["TROPISM_TRAINED"]))
    project = copy_project(tmp_path_factory.mktemp("trained"))
    shutil.copytree(base_model, project.folder / "results" / "models" / "smollm2")
    # with the threads of the cluster's jobs: sums in another order end in other last bits
    project.snakemake("--set-threads", "annotate_texts=1", config=(OVERLAY,), targets=(TARGET,))
    return project


def forget_training(project: ClusterProject) -> None:
    """Remove the training's result, the kept one too."""
    for name in ("lineages", "checkpoints"):
        shutil.rmtree(project.results / name)


@pytest.fixture
def whole(cluster, trained, tmp_path):
    """A copy of the project after its training; its jobs are gone when the test ends."""
    shutil.copytree(trained.folder, tmp_path / "copy", symlinks=True, copy_function=copy_or_link)
    project = ClusterProject(tmp_path / "copy", cluster)
    yield project
    project.end()


@pytest.fixture
def disturbed(whole):
    """A copy of the project in which the training is still to be done."""
    forget_training(whole)
    return whole
