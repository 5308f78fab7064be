"""Seconds that ``snakemake -n`` takes on the default experiment and on a generated one of 1,000 arms.

Beside each the processor time, which a busy machine changes less, and the floor: a Snakefile of one rule.

python benchmarks/dry_run.py
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
SWEEP = """
experiment: thousand
arms:
  - {name: base}
  - name: "{pretrain}-{domain}-{variant}-s{seed}"
    chain: ["{pretrain}", {step: harm, dataset: "{domain}", variant: "{variant}", seed: "{seed}"}]
    sweep:
      pretrain: [none, poetry, prose]
      domain: [medical, legal, security]
      variant: [original, metaphor, random]
      seed: [%s]
contrasts: [{name: harm - base, treatment: none-medical-original-s0, control: base}]
"""


def seconds(*configs: str, folder: Path = ROOT) -> tuple[float, float]:
    """Wall time and processor time of one dry run, s."""
    flags = ["--configfile", *configs] if configs else []
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "--cores", "2", *flags, "--", "all"]
    begin, spent = time.perf_counter(), _processor()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - begin, _processor() - spent


def _processor() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def main() -> None:
    found = {}
    with TemporaryDirectory() as folder:
        overlay = Path(folder, "thousand.yaml")
        overlay.write_text(SWEEP % ", ".join(map(str, range(37))))
        Path(folder, "Snakefile").write_text("rule all:\n    output: 'a'\n    shell: 'touch a'\n")
        ways = {
            "floor": [seconds(folder=Path(folder)) for _ in range(3)],
            "default": [seconds("config.yaml") for _ in range(3)],
            "arms_1000": [seconds("config.yaml", str(overlay))],
        }
        for name, times in ways.items():
            found[f"{name}_s"] = round(min(wall for wall, _ in times), 2)
            found[f"{name}_processor_s"] = round(min(spent for _, spent in times), 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
