"""Counts the words of every source file of Python's standard library, with a worker of its own.

``python examples/wordcount`` starts a worker with a prefork pool as a process beside it, and gives it a few hundred tasks: a
chord for each bundle of files, whose members count and whose body adds up. Broker and result store are an SQLite file
in a temporary folder; nothing else is needed, and nothing stays behind.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
TASKS = 320
TASKS_IN_A_CHORD = 16
WIDTH = 40


def source_files():
    """Return every source file of the standard library, the largest first."""
    library = Path(sysconfig.get_paths()["stdlib"])
    files = [path for path in library.rglob("*.py") if "site-packages" not in path.parts]
    return sorted(files, key=lambda path: path.stat().st_size, reverse=True)


def bundles(files, count):
    """Deal *files* out to *count* bundles of about the same size."""
    dealt = [files[start::count] for start in range(count)]
    return [[str(path) for path in bundle] for bundle in dealt if bundle]


@contextlib.contextmanager
def worker(log):
    """Run a worker beside this process, and end it in good order."""
    command = [sys.executable, "-m", "umbel", "-A", "words", "worker", "-P", "prefork", "-l", "info"]
    process = subprocess.Popen(command, cwd=HERE, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def show(done, total, began):
    """Draw the progress bar; one line for every tenth where nobody watches."""
    rate = done / max(time.monotonic() - began, 0.001)
    filled = WIDTH * done // total
    line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total} tasks, {rate:.0f}/s"
    if sys.stdout.isatty():
        print(f"\r{line}", end="\n" if done == total else "", flush=True)
    elif done == total or done % max(1, total // 10) == 0:
        print(line, flush=True)


def count(paths, process):
    """Send the tasks, watch them end, and return the counts of all words and the number of tasks."""
    # Here, where this folder is on the import path and UMBEL_HOME is set.
    from words import add_up, app, count_words

    from umbel import ResultSet, chord

    began = time.monotonic()
    members = bundles(paths, TASKS)
    sums = [
        chord([count_words.s(bundle) for bundle in members[start : start + TASKS_IN_A_CHORD]])(add_up.s())
        for start in range(0, len(members), TASKS_IN_A_CHORD)
    ]
    watched = ResultSet([*(member for one in sums for member in one.parent), *sums], app=app)
    ended, total = watched.iterate(timeout=300), len(watched)
    for done, _ in enumerate(ended, 1):
        show(done, total, began)
        if process.poll() is not None:
            sys.exit(f"the worker ended with code {process.returncode}")
    counts = Counter()
    for one in sums:
        counts.update(one.get(timeout=10))
    return counts, total, time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--top", type=int, default=15, help="how many words to show")
    parser.add_argument("--files", type=int, help="only so many files, the largest")
    options = parser.parse_args()
    files = source_files()[: options.files]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    print(f"counting the words of {len(files)} files of {sysconfig.get_paths()['stdlib']} ({megabytes:.1f} MB)")
    with tempfile.TemporaryDirectory(prefix="umbel-wordcount-") as home:
        os.environ["UMBEL_HOME"] = home
        sys.path.insert(0, str(HERE))
        with open(f"{home}/worker.log", "w+", encoding="utf-8") as log:
            try:
                with worker(log) as process:
                    counts, tasks, seconds = count(files, process)
            except BaseException:
                log.seek(0)
                sys.stderr.writelines(log.readlines()[-20:])
                raise
    print(f"\nthe {options.top} words that stand there most often:\n")
    for word, number in counts.most_common(options.top):
        print(f"  {number:>9,}  {word}")
    print(
        f"\n{sum(counts.values()):,} words, {len(counts):,} different ones; {tasks} tasks in {seconds:.1f} s:"
        f" {tasks / seconds:.0f} tasks/s, {len(files) / seconds:.0f} files/s, {megabytes / seconds:.1f} MB/s"
    )


if __name__ == "__main__":
    main()
