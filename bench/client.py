"""The calling side of a measurement, in a process of its own: ``python -m bench.client PEER OPERATION [ARGUMENT ...]``.

Prints one line of JSON: wall and CPU seconds of the operation itself, without start-up.
"""

from __future__ import annotations

import json
import sys
import time

from bench import peers


def trips(peer, count):
    """Measure single round trips after a few to warm up."""
    for _ in range(20):
        peer.round_trip()
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        peer.round_trip()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)


def main(name, operation, *arguments):
    peer = peers.load(name)
    answer = {}
    began, cpu = time.perf_counter(), time.process_time()
    if operation == "send":
        task, count, bulk, warm_up = arguments[0], int(arguments[1]), arguments[2] == "bulk", int(arguments[3])
        peer.send(task, warm_up, bulk=False)
        began, cpu = time.perf_counter(), time.process_time()
        peer.send(task, count, bulk)
    elif operation == "marked":  # a mark, the tasks, a mark: for those who drain them
        task, count = arguments[0], int(arguments[1])
        peer.send_mark("first")
        peer.send(task, count, bulk=True)
        peer.send_mark("last")
    elif operation == "mark":
        peer.send_mark(arguments[0])
    elif operation == "trips":
        answer["trips"] = trips(peer, int(arguments[0]))
    elif operation == "flow":
        peer.round_trip()
        began, cpu = time.perf_counter(), time.process_time()
        waiting = peer.flow(arguments[0], int(arguments[1]))
        if waiting is not None:  # what is measured is the sending alone
            answer.update(seconds=time.perf_counter() - began, cpu=time.process_time() - cpu)
            waiting()
            print(json.dumps(answer))
            return
    elif operation == "read":
        peer.round_trip()
        began, cpu = time.perf_counter(), time.process_time()
        peer.read_back(int(arguments[0]))
    answer.update(seconds=time.perf_counter() - began, cpu=time.process_time() - cpu)
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
