"""Does what the README tells a stranger, with the wheel, in an empty environment: builds, installs, starts a worker, calls.

``python tools/quickstart.py``: the module of tasks and the call are taken from the README itself. Needs the package index
for the dependencies; nothing of this environment is seen by the new one.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
READY_WITHIN_S: Final = 30
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WORKER: Final = re.compile(r"^\$ umbel (.*worker.*)$", re.MULTILINE)


def run(*command: str, **options: object) -> None:
    """Run a command, and stop everything when it fails."""
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


def install(folder: Path) -> Path:
    """Build the wheel and install it in a fresh environment; return its folder of commands."""
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    run(sys.executable, *pip, "wheel", "--no-deps", "--wheel-dir", str(folder / "wheels"), str(ROOT))
    (wheel,) = (folder / "wheels").glob("umbel-*.whl")
    venv.create(folder / "env", with_pip=True)
    binaries = folder / "env" / "bin"
    run(str(binaries / "python"), *pip, "install", str(wheel))
    return binaries


def start_worker(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start the worker and wait until it is ready."""
    worker = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in worker.stdout or ():
            said.append(line)
            if "ready" in line:
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    if not ready.wait(READY_WITHIN_S) or worker.poll() is not None:
        worker.kill()
        sys.exit("the worker did not get ready:\n" + "".join(said))
    return worker


def main() -> None:
    """Do it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    module, call = _BLOCK.findall(readme)[:2]
    (worker_arguments,) = _WORKER.findall(readme)
    with tempfile.TemporaryDirectory(prefix="umbel-quickstart-") as made:
        folder = Path(made)
        binaries = install(folder)
        work = folder / "work"
        work.mkdir()
        (work / "tasks.py").write_text(module, encoding="utf-8")
        environment = {**os.environ, "UMBEL_HOME": str(folder / "home")}
        environment.pop("PYTHONPATH", None)
        worker = start_worker([str(binaries / "umbel"), *worker_arguments.split()], work, environment)
        try:
            done = subprocess.run(
                [str(binaries / "python"), "-c", call],
                cwd=work,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        finally:
            worker.send_signal(signal.SIGTERM)
            code = worker.wait(30)
    if done.stdout != "4\n" or done.returncode or code:
        sys.exit(f"expected 4 and two clean ends, got {done.stdout!r}, the worker's code {code}:\n{done.stderr}")
    print("the README's own task: 2 + 2 = 4, from the wheel, in an empty environment")


if __name__ == "__main__":
    main()
