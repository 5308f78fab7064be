"""A training on a real SLURM through everything that clusters do to jobs.

However it was disturbed, it has to end in the bytes of one that was not, from where it was and not from the start.
"""

import errno
import json
import os
import shutil
import signal
import subprocess

import psutil
import pytest
from tests.slurm.conftest import LINEAGE, TARGET, ClusterProject, forget_training, wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
WARNED = "SIGUSR1: will save after this step and stop"


def checkpoints(project) -> list[int]:
    """Steps of the checkpoints that are written to their end."""
    folder = project.results / "checkpoints" / LINEAGE.partition("/")[2]
    return sorted(int(p.parent.name.split("-")[1]) for p in folder.glob("checkpoint-*/trainer_state.json"))


def at_work(project, process, steps: int = 2, seconds: float = 400) -> str:
    """Wait until the training has saved ``steps`` steps; the number of its job."""

    def saved():
        assert process.poll() is None, project.said()[-5000:]
        return max(checkpoints(project), default=0) >= steps

    wait_until(saved, seconds)
    return project.cluster.jobs("RUNNING")[0]


def training(project) -> psutil.Process:
    """The process that trains, in whichever job."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == str(project.folder) and words[1:4] == ["-m", "tropism.train", "step"]:
            return process
    raise AssertionError("no training runs")


def pending(process: psutil.Process, number: int) -> bool:
    """Whether a signal waits for a process that is stopped."""
    with open(f"/proc/{process.pid}/status") as file:
        masks = dict(line.split(":\t") for line in file if line.startswith(("SigPnd", "ShdPnd")))
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks.values())


def same_training(project, trained) -> None:
    """Equal bytes, and a training that went on from a checkpoint."""
    for name in ("adapter/adapter_model.safetensors", "training.csv", "manifest.json"):
        expected = trained.folder / "results" / "small" / LINEAGE / name
        assert (project.results / LINEAGE / name).read_bytes() == expected.read_bytes(), name
    speed = json.loads((project.results / LINEAGE / "speed.json").read_text())
    assert speed["resumed_at_step"] > 0, "it went on, and did not begin again"


def recover(project) -> str:
    """What ``make recover`` says; the environment of this test stands for the one that it would install."""
    done = subprocess.run(
        ["make", "--old-file", ".venv/installed", "recover"],
        cwd=project.folder,
        env={k: v for k, v in project.cluster.clients().items() if k not in ("VENV", "MAKEFLAGS")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_cancelled_job_is_submitted_again(disturbed, trained):
    process = disturbed.submit(TARGET)
    disturbed.cluster.run("scancel", at_work(disturbed, process))
    disturbed.finish(process)
    same_training(disturbed, trained)
    assert disturbed.cluster.states(disturbed.folder) == ["CANCELLED", "COMPLETED"]


def test_a_training_over_its_time_limit_goes_on_from_its_checkpoint(disturbed, trained):
    """Its process is stopped, as by a device that hangs, so that it is late on any machine.

    The first job has one minute and no warning, and is killed; the second is warned, and saves by itself.
    """
    process = disturbed.submit(
        TARGET,
        runtime="1 if attempt == 1 else 3 if attempt == 2 else 30",
        slurm_extra="'--signal=USR1@60' if attempt == 2 else ''",
    )
    first = at_work(disturbed, process)
    training(disturbed).suspend()
    wait_until(lambda: first not in disturbed.cluster.jobs("RUNNING", "COMPLETING"), 150)
    killed_at = max(checkpoints(disturbed))
    at_work(disturbed, process, killed_at + 1)
    second = training(disturbed)
    second.suspend()
    heard = disturbed.results / "logs" / "train" / f"{LINEAGE.partition('/')[2]}.log"
    # on a machine so slow that the warning came before this, it was heard already
    wait_until(lambda: pending(second, signal.SIGUSR1) or WARNED in heard.read_text(), 200)
    second.resume()
    disturbed.finish(process)
    same_training(disturbed, trained)
    assert disturbed.cluster.states(disturbed.folder) == ["TIMEOUT", "FAILED", "COMPLETED"]
    speed = json.loads((disturbed.results / LINEAGE / "speed.json").read_text())
    assert speed["resumed_at_step"] > killed_at
    assert WARNED in disturbed.said(), "the second job ended because it was warned"


def test_a_training_over_its_memory_asks_for_more(disturbed, trained):
    # 900 MB hold the two Snakemake processes and not the training
    disturbed.finish(disturbed.submit(TARGET, mem_mb="900 if attempt == 1 else 6000"))
    states = disturbed.cluster.states(disturbed.folder)
    assert len(states) == 2
    assert states[0] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    for name in ("adapter/adapter_model.safetensors", "training.csv", "manifest.json"):
        expected = trained.folder / "results" / "small" / LINEAGE / name
        assert (disturbed.results / LINEAGE / name).read_bytes() == expected.read_bytes(), name


def test_a_job_requeued_from_a_drained_node_goes_on(disturbed, trained):
    cluster = disturbed.cluster
    process = disturbed.submit(TARGET)
    job = at_work(disturbed, process)
    node = cluster.run("squeue", "--noheader", "--job", job, "--format", "%N").strip()
    cluster.run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    try:
        cluster.run("scontrol", "requeue", job)
        wait_until(lambda: cluster.jobs("PENDING") == [job], 60)
    finally:
        cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
    disturbed.finish(process)
    assert cluster.states(disturbed.folder) == ["COMPLETED"], "SLURM put it back by itself"
    same_training(disturbed, trained)


def test_slurmctld_may_die_and_come_back(disturbed, trained):
    process = disturbed.submit(TARGET)
    at_work(disturbed, process)
    disturbed.cluster.script("kill", "slurmctld")
    done = max(checkpoints(disturbed))
    wait_until(lambda: max(checkpoints(disturbed), default=99) > done, 200)  # jobs go on without it
    assert process.poll() is None
    disturbed.cluster.script("revive", "slurmctld")
    disturbed.finish(process)
    assert disturbed.cluster.states(disturbed.folder) == ["COMPLETED"]
    for name in ("adapter/adapter_model.safetensors", "training.csv", "manifest.json"):
        expected = trained.folder / "results" / "small" / LINEAGE / name
        assert (disturbed.results / LINEAGE / name).read_bytes() == expected.read_bytes(), name


def test_a_killed_snakemake_is_recovered_and_started_again(disturbed, trained, tmp_path):
    cluster = disturbed.cluster
    (tmp_path / "elsewhere").mkdir()
    folder = f"--chdir={tmp_path / 'elsewhere'}"
    other = cluster.run("sbatch", "--parsable", "--output=/dev/null", folder, "--wrap", "sleep 600").strip()
    process = disturbed.submit(TARGET)
    at_work(disturbed, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (job,) = set(cluster.jobs("RUNNING")) - {other}
    said = recover(disturbed)
    assert f"{job} RUNNING" in said, "the job outlived its Snakemake"
    assert cluster.jobs("RUNNING", "PENDING", "COMPLETING") == [other], "jobs of other folders are left alone"
    disturbed.finish(disturbed.submit(TARGET))
    same_training(disturbed, trained)
    assert "no jobs of" in recover(disturbed)


@pytest.fixture
def small_disk(trained, cluster, tmp_path):
    """The disturbed project on a disk of its own, a tmpfs that holds little more than the project."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200m", "tmpfs", disk], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(trained.folder, disk / "copy", symlinks=True)
        project = ClusterProject(disk / "copy", cluster)
        forget_training(project)
        yield project
        project.end()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(file) -> None:
    """Write zeros until there is no room for one more byte."""
    for size in (2**20, 2**10, 1):
        try:
            while file.write(b"\0" * size) == size:
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def test_a_disk_that_is_full_for_a_while_spoils_nothing(small_disk, trained):
    process = small_disk.submit(TARGET)
    first = at_work(small_disk, process)
    filler = small_disk.folder / "filler"
    with filler.open("wb", buffering=0) as file:
        fill(file)
        # the training fails at its next checkpoint, and Snakemake, if it lives, submits it again
        wait_until(lambda: first not in small_disk.cluster.jobs("RUNNING", "COMPLETING"), 200)
        assert shutil.disk_usage(filler).free < 2**20, "the disk was full all the while"
    filler.unlink()
    if process.wait(900) != 0:  # Snakemake could not write its own records either: it is started again
        recover(small_disk)
        small_disk.finish(small_disk.submit(TARGET))
    same_training(small_disk, trained)
