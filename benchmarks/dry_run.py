"""Seconds that ``snakemake -n`` takes on the default experiment and on a generated one of 1,000 arms.

python benchmarks/dry_run.py
"""

import json
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


def seconds(*configs: str) -> float:
    """Wall time of one dry run, s."""
    begin = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-n",
        "--quiet",
        "--cores",
        "2",
        "--configfile",
        "config.yaml",
        *configs,
    ]
    subprocess.run([*command, "--", "all"], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    with TemporaryDirectory() as folder:
        overlay = Path(folder, "thousand.yaml")
        overlay.write_text(SWEEP % ", ".join(map(str, range(37))))
        found = {"default_s": min(seconds() for _ in range(3)), "arms_1000_s": seconds(str(overlay))}
    print(json.dumps({key: round(value, 2) for key, value in found.items()}))


if __name__ == "__main__":
    main()
