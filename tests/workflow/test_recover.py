"""``make recover`` ends what a killed Snakemake left behind and nothing else; SLURM's clients are stand-ins here."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "workflow" / "profiles" / "slurm" / "recover.sh"


def test_jobs_of_this_folder_that_are_not_of_a_snakemake_go_on(tmp_path):
    """A judge that was started from the project's folder serves other runs too; a session is the person's own."""
    here, queue = tmp_path / "here", tmp_path / "queue"
    here.mkdir()
    run = "tropism_0b54a1c2-6d2e-4f5c-9c52-6f3a0a0f6a11"
    rows = [(1, run, here), (2, run, tmp_path), (3, "serve_judge", here), (4, "interactive", here), (5, run, "")]
    queue.write_text("".join(f"{number}|RUNNING|{name}|{folder}\n" for number, name, folder in rows))
    clients = {
        # columns as they are asked for
        "squeue": f"""for word; do format=$word; done
            while IFS='|' read -r i T j Z; do
                row=${{format//%i/$i}}; row=${{row//%T/$T}}; row=${{row//%j/$j}}; echo "${{row//%Z/$Z}}"
            done < {queue}""",
        "scancel": f"""for id; do sed -i "/^$id|/d" {queue}; done""",
        "snakemake": "echo unlocked: $*",
    }
    for name, text in clients.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def recover(*words):
        return subprocess.run([SCRIPT, *words], cwd=here, env=environment, capture_output=True, text=True, check=True)

    listed = recover("--dry-run").stdout
    assert "1 RUNNING" in listed
    assert len(queue.read_text().splitlines()) == 5
    said = recover().stdout
    assert [row.partition("|")[0] for row in queue.read_text().splitlines()] == ["2", "3", "4", "5"]
    assert "3 RUNNING serve_judge" in said, "what is left alone is named"
    assert "unlocked: --unlock" in said
