"""Run as a program: the sbatch call of every job of a dry run, one JSON object a line, by the plugin's own code."""

import json
import sys
from types import SimpleNamespace

import snakemake.cli
from snakemake.executors.dryrun import Executor
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string
from snakemake_executor_plugin_slurm.validation import validate_slurm_extra

SETTINGS = SimpleNamespace(requeue=True, no_requeue=False, qos=None, reservation=None)


done = Executor.run_job


def report(self, job):
    """What the dry run does with a job, and its line."""
    account, partition = job.resources.get("slurm_account"), job.resources.get("slurm_partition")
    given = {
        "run_uuid": "tropism_x",
        "slurm_logfile": "log",
        "comment_str": job.name,
        "account": f"-A {account}" if account else "",
        "partition": f"-p {partition}",
        "workdir": None,
    }
    validate_slurm_extra(job)
    line = get_submit_command(job, given, settings=SETTINGS) + set_gres_string(job)
    rules = sorted({part.rule.name for part in job.jobs}) if job.is_group() else [job.rule.name]
    local = not job.is_group() and job.rule.name in self.workflow._localrules
    outputs = [str(path) for path in job.output]
    told = {"rules": rules, "group": job.is_group(), "local": local, "outputs": outputs, "line": line}
    print(json.dumps(told), flush=True)
    done(self, job)


Executor.run_job = report
snakemake.cli.main(sys.argv[1:])
