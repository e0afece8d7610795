"""Runs scenarios on brokers, prints a table each, and writes the figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

from bench import brokers, peers, scenarios
from umbel.testing.servers import MissingProgram


def cell(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def table(rows):
    """Return *rows* as lines: text to the left, figures to the right."""
    if not rows:
        return
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
    """Return how many times faster the first row is than each other one, by what both were measured in."""
    for row in rows[1:]:
        found = []
        for name in row:
            if name in rows[0] and name.endswith("/s"):
                found.append(f"{rows[0][name] / row[name]:.1f} ({name})")
            elif name in rows[0] and name.startswith("p50"):
                found.append(f"{row[name] / rows[0][name]:.1f} ({name})")
        if found:
            yield f"{rows[0]['system']} is so many times as fast as {row['system']}: {', '.join(found)}"


def arguments():
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(scenarios.SCENARIOS)}; all if none"
    )
    parser.add_argument(
        "--broker", nargs="+", choices=brokers.BROKERS, help="on these alone; all that are installed if none"
    )
    parser.add_argument("--peers", nargs="+", metavar="PEER", help="only these systems, such as: umbel celery")
    parser.add_argument("--tasks", type=int, default=20_000, help="how many tasks the fastest gets (20,000)")
    parser.add_argument("--trips", type=int, default=500, help="how many round trips (500)")
    parser.add_argument("--depth", type=int, default=500_000, help="the longest queue of the scenario depth (500,000)")
    parser.add_argument(
        "--flows", nargs="+", metavar="KIND=LENGTHS", help="of workflows only these, such as: chord=2000 chain=100,1000"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(scenarios.SCENARIOS)
    if unknown:
        parser.error(f"no scenario named {', '.join(sorted(unknown))}; there are: {', '.join(scenarios.SCENARIOS)}")
    try:
        options.flows = dict(map(scenarios.load("workflows").parse, options.flows or ()))
    except ValueError as error:
        parser.error(f"--flows: {error}")
    known = {name for group in (peers.PEERS, peers.SENDERS) for names in group.values() for name in names}
    unknown = set(options.peers or ()) - known
    if unknown:
        parser.error(f"no peer named {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    return options


def measure(name, broker, options):
    """Run one scenario on one broker, print its table and return its figures."""
    scenario = scenarios.load(name)
    rows, left_out = scenario.run(options, broker)
    print(f"\n{scenario.TITLE}\n")
    print(*table(rows), *ratios(rows), sep="\n", flush=True)
    for peer, why in left_out.items():
        print(f"left out: {peer} ({why})")
    return {"title": scenario.TITLE, "rows": rows, "left out": left_out}


def main():
    options = arguments()
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    print(f"Python {machine['python']}, {machine['cores']} cores, {machine['system']}")
    figures = {"machine": machine, "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "brokers": {}}
    names = options.scenarios or scenarios.SCENARIOS
    done = set()
    for broker_name in options.broker or brokers.BROKERS:
        try:
            with brokers.running(broker_name) as broker:
                print(f"\n== {broker_name} ==")
                found = figures["brokers"][broker_name] = {}
                for name in names:
                    if name not in done:
                        found[name] = measure(name, broker, options)
                    if getattr(scenarios.load(name), "ONCE", False):
                        done.add(name)
        except MissingProgram as missing:
            print(f"\nleft out: {broker_name} ({missing})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
