"""What a worker uses that has nothing to do."""

from __future__ import annotations

import time

from bench.stage import each_peer

TITLE = "idle: CPU of the whole worker tree, in percent of a core"
SETTLE_S, WATCH_S = 2, 5


def measure(stage):
    tree = stage.running_worker(2)
    time.sleep(SETTLE_S)
    before = tree.cpu()
    time.sleep(WATCH_S)
    return {"CPU %": 100 * (tree.cpu() - before) / WATCH_S}


def run(options, broker):
    return each_peer(options, broker, measure)
