"""Does what one page of the manual says, top to bottom, in one namespace: ``run_page.py PAGE`` in an empty folder.

* A ``python`` block runs. One whose first line is a comment with a file name (``# tasks.py``) is written to that file.
* A ``toml`` block whose first line is such a comment is written too.
* A ``console`` line ``$ umbel ... worker ...`` starts that worker, and the page goes on when it is ready; every other
  ``$ umbel`` line must name a command and options that exist.
* A line ``% not run: why`` right before a block leaves it out.
"""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

BLOCK = re.compile(r"^(?P<skip>% not run: .+\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (?P<name>[\w./-]+\.(py|toml))\n")
READY_WITHIN_S = 30


def blocks(text: str) -> Iterator[tuple[str, str, int, bool]]:
    """Yield (language, code, line number, is skipped)."""
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield found["language"], found["code"], line, bool(found["skip"])


def check_command(words: list[str]) -> None:
    """Fail unless the command and each option exist."""
    import click

    from umbel.cli import cli

    command: click.Command = cli
    context, words = click.Context(cli), list(words)
    while words:
        word = words.pop(0)
        known = [(name, option) for option in command.params for name in (*option.opts, *option.secondary_opts)]
        options = {"--help": None, "-h": None, **dict(known)}
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if word.startswith("-") and len(word) > 1:
            assert name in options, f"'{context.command_path}' has no option {name}"
            option = options[name]
            if isinstance(option, click.Option) and not option.is_flag and not option.count and word == name:
                words[:1] = []
        elif isinstance(command, click.Group):
            found = _celery() if word == "celery" and words[:1] != ["--path"] else command.get_command(context, word)
            assert found is not None, f"'{context.command_path}' has no command {word!r}"
            command, context = found, click.Context(found, parent=context, info_name=word)
            if word == "multi":
                check_multi(words, context)
                return


def check_multi(words: list[str], context: Any) -> None:
    """Fail unless ``umbel multi`` understands its words, among which are options of the worker."""
    from umbel.cli.multi.arguments import parse
    from umbel.cli.multi.command import known_options

    parse(words[1:], known_options(context.find_root()))


def _celery() -> Any:
    """Return what ``umbel celery`` hands its words to."""
    from umbel_extension_celery.command_group import celery

    return celery


def start_worker(words: list[str]) -> subprocess.Popen[str]:
    """Start a worker and wait until it says that it is ready."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "umbel", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ready, lines = threading.Event(), []

    def read() -> None:
        for line in worker.stdout or ():
            lines.append(line)
            if "ready" in line:
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    is_ready = ready.wait(READY_WITHIN_S) and worker.poll() is None
    assert is_ready, "the worker did not get ready:\n" + "".join(lines)
    return worker


def run(page: pathlib.Path) -> None:
    text, namespace, workers = page.read_text(encoding="utf-8"), {"__name__": "__page__"}, []
    sys.path.insert(0, "")
    try:
        for language, code, line, is_skipped in blocks(text):
            file = FILE.match(code)
            if is_skipped:
                continue
            if file and language in ("python", "toml"):
                path = pathlib.Path(file["name"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(code, encoding="utf-8")
            elif language == "python":
                exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
            elif language == "console":
                for command in re.findall(r"^\$ umbel (.+)$", code, re.MULTILINE):
                    words = shlex.split(command, comments=True)
                    check_command(words)
                    if "worker" in words and "--help" not in words:
                        workers.append(start_worker(words))
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(20)


if __name__ == "__main__":
    run(pathlib.Path(sys.argv[1]))
