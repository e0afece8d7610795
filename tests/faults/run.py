"""Break what a task queue stands on, under load and with dice that a seed sets, and count what becomes of the tasks.

    python tests/faults/run.py --fault broker-restart --rounds 20 --seed 7 --broker redis
    python tests/faults/run.py --kills 300 --seed 7                      # kills at named points, on SQLite

Prints, for each round, how long the worker took to come back and the longest call of delay(), and in the end what was
lost, run twice, or late. Exit code 1 when a promise was broken; docs/explanation/faults.md tells of the promises.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.breaking import FAULTS
from tests.faults.kills import Kills
from tests.faults.outages import Outages
from tests.faults.sites import SITES


def _faults(text: str) -> str:
    for name in text.split(","):
        if name not in FAULTS and text != "kills":
            raise argparse.ArgumentTypeError(f"expected kills, or some of {', '.join(FAULTS)}; got {name!r}")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--fault",
        type=_faults,
        default="kills",
        help=f"what is broken: kills (the default), or of {', '.join(FAULTS)} one or, with commas, several in turn",
    )
    parser.add_argument("--seed", type=int, default=1, help="the seed of the dice")
    parser.add_argument(
        "--broker", default="", help=f"one of {', '.join(SITES)}, started for the run; for kills also a URL"
    )
    parser.add_argument("--timeout", type=float, default=600.0, help="give up waiting for ends after so many seconds")
    parser.add_argument("--verbose", action="store_true", help="show the worker's log in the end")
    rounds = parser.add_argument_group("all faults but kills")
    rounds.add_argument("--rounds", type=int, default=20, help="how often each is done (default 20)")
    rounds.add_argument("--hold", type=float, default=None, help="seconds for which it stays broken (default: its own)")
    rounds.add_argument("--rate", type=float, default=100.0, help="calls a second (default 100)")
    kills = parser.add_argument_group("kills")
    kills.add_argument("--kills", type=int, default=300, help="how many processes are killed (default 300)")
    kills.add_argument("--parents", type=int, default=20, help="per cent of them that are workers, not their children")
    kills.add_argument("--tasks", type=int, default=0, help="how many tasks are sent (default: 10 a kill)")
    kills.add_argument("--backend", default="", help="URL of the result store (default: the broker's)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="umbel-faults-") as name:
        folder = Path(name)
        if options.fault != "kills":
            with SITES[options.broker or "redis"](folder) as site:
                return Outages(options, folder, site).run()
        if options.broker not in SITES:
            return Kills(options, folder).run()
        with SITES[options.broker](folder) as site:
            options.broker, options.backend = site.broker_url, site.backend_url
            return Kills(options, folder).run()


if __name__ == "__main__":
    sys.exit(main())
