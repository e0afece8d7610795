"""Runs scenarios, prints a table each, and writes the figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

from bench import peers, scenarios
from bench.stage import redis_server


def cell(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def table(rows):
    """Return *rows* as lines: text to the left, figures to the right."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    texts = [[cell(row.get(name, "")) for name in columns] for row in rows]
    widths = [
        max(len(text) for text in [name, *column])
        for name, column in zip(columns, zip(*texts, strict=True), strict=True)
    ]
    lines = [columns, ["-" * width for width in widths], *texts]
    for line in lines:
        first, *rest = [(text, width) for text, width in zip(line, widths, strict=True)]
        yield "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)])


def ratios(rows):
    """Return how many times faster the first row is than each other one, by the first rate that both have."""
    for row in rows[1:]:
        name = next((name for name in row if name.endswith("/s") and name in rows[0]), None)
        if name:
            yield f"{rows[0]['system']} is {rows[0][name] / row[name]:.1f} times {row['system']} ({name})"


def main():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(scenarios.SCENARIOS)}; all if none"
    )
    parser.add_argument("--peers", nargs="+", choices=peers.PEERS, help="only these systems")
    parser.add_argument("--tasks", type=int, default=20_000, help="how many tasks the fastest gets (20,000)")
    parser.add_argument("--trips", type=int, default=500, help="how many round trips (500)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(scenarios.SCENARIOS)
    if unknown:
        parser.error(f"no scenario named {', '.join(sorted(unknown))}; there are: {', '.join(scenarios.SCENARIOS)}")
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    print(f"Python {machine['python']}, {machine['cores']} cores, {machine['system']}")
    figures = {"machine": machine, "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "scenarios": {}}
    with redis_server() as options.redis:
        for name in options.scenarios or scenarios.SCENARIOS:
            scenario = scenarios.load(name)
            rows, left_out = scenario.run(options)
            figures["scenarios"][name] = {"title": scenario.TITLE, "rows": rows, "left out": left_out}
            print(f"\n{scenario.TITLE}\n")
            print(*table(rows), *ratios(rows), sep="\n", flush=True)
            for peer, why in left_out.items():
                print(f"left out: {peer} ({why})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
