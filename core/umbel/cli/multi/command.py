"""The commands of ``umbel multi``. Nothing is stored about the nodes: give the same arguments again."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import click

from umbel.cli.multi.arguments import MULTI_OPTIONS, parse
from umbel.cli.multi.nodes import Node, is_alive
from umbel.cli.worker import command as worker_command
from umbel.suggestions import suggest
from umbel.worker.naming import expand

__all__ = ["command", "known_options"]

_LOOK_EVERY_S: Final = 0.05
_TELL_EVERY_S: Final = 1.0
_GLOBAL: Final = ("--app", "--broker", "--result-backend", "--loader", "--config", "--workdir", "--no-color", "--quiet")


@attrs.frozen
class _Cluster:
    """The nodes of one command line, and how to speak of them."""

    nodes: Sequence[Node]
    say: Callable[[str], None]


def known_options(root: click.Context) -> dict[str, tuple[str, bool]]:
    """Return each spelling of an option -> (its long name, whether it takes no value)."""
    found: dict[str, tuple[str, bool]] = {name: (name, flag) for name, flag in MULTI_OPTIONS.items()}
    for parameters in (worker_command.params, root.command.params):
        for parameter in parameters:
            if isinstance(parameter, click.Option):
                name = max(parameter.opts, key=len)
                found.update(dict.fromkeys(parameter.opts, (name, parameter.is_flag)))
    return found


def _cluster(context: click.Context, words: Sequence[str]) -> _Cluster:
    root = context.find_root()
    given = parse(words, known_options(root))
    session: Any = context.obj
    before: dict[str, str | None] = {
        name: value
        for name, value in (
            ("--app", session.app_spec),
            ("--broker", session.broker),
            ("--result-backend", session.result_backend),
            ("--loader", session.loader),
            ("--config", session.config),
        )
        if value
    }
    program = [given.own.get("--executable") or sys.executable, "-m", "umbel"]
    if root.info_name == "celery":  # a project of Celery's
        program.append("celery")
    nodes = [_node(name, program, before, dict(options), given.rest) for name, options in given.nodes.items()]
    is_quiet = session.quiet or any("--quiet" in dict(options) for options in given.nodes.values())
    return _Cluster(nodes, (lambda text: None) if is_quiet else click.echo)


def _node(
    name: str,
    program: Sequence[str],
    before: Mapping[str, str | None],
    options: dict[str, str | None],
    rest: Sequence[str],
) -> Node:
    options.setdefault("--pidfile", "%n.pid")
    options.setdefault("--logfile", "%n%I.log")
    workdir = options.pop("--workdir", None)
    options.pop("--quiet", None)
    own: dict[str, str | None] = {option: options.pop(option) for option in _GLOBAL if option in options}
    chosen = {**before, **own}
    words = [*program, *_words(chosen), "worker", "--hostname", name, *_words(options), *rest]
    return Node(name, words, str(options["--pidfile"]), str(options["--logfile"]), workdir)


def _words(options: Mapping[str, str | None]) -> list[str]:
    return [name if value is None else f"{name}={value}" for name, value in options.items()]


# -- what is done -----------------------------------------------------------------------------------------------------


def _start_one(node: Node, say: Callable[[str], None]) -> bool:
    pid = node.pid()
    problem = f"it runs already, as process {pid}" if pid is not None else node.start()
    say(f"\t> {node.name}: {'OK' if problem is None else f'FAILED: {problem}'}")
    return problem is None


def _start(cluster: _Cluster) -> int:
    cluster.say("> Starting nodes...")
    started = [_start_one(node, cluster.say) for node in cluster.nodes]
    return 0 if all(started) else 1


def _signal_all(cluster: _Cluster, number: int) -> dict[int, Node]:
    """Send the signal; return the processes that got it."""
    told: dict[int, Node] = {}
    for node in cluster.nodes:
        pid = node.send(number)
        if pid is None:
            cluster.say(f"\t> {node.name}: DOWN")
            node.forget_dead()
        else:
            cluster.say(f"\t> {node.name}: {signal.Signals(number).name.removeprefix('SIG')} -> {pid}")
            told[pid] = node
    return told


def _wait(cluster: _Cluster, told: dict[int, Node], ended: Callable[[Node], None]) -> None:
    """Wait until the processes are gone, however long what runs in them takes; tell *ended* of each."""
    tell_at = time.monotonic()
    while told:
        for pid, node in list(told.items()):
            if not is_alive(pid):  # not: whether its pid file is gone, which is a little earlier
                del told[pid]
                cluster.say(f"\t> {node.name}: OK")
                ended(node)
        if told and time.monotonic() >= tell_at:
            cluster.say(
                f"> Waiting for {len(told)} {'node' if len(told) == 1 else 'nodes'} -> {', '.join(map(str, told))}"
            )
            tell_at = time.monotonic() + _TELL_EVERY_S
        if told:
            time.sleep(_LOOK_EVERY_S)


def _stop(cluster: _Cluster, number: int) -> int:
    cluster.say("> Stopping nodes...")
    _signal_all(cluster, number)
    return 0


def _stop_and_wait(cluster: _Cluster, number: int) -> int:
    cluster.say("> Stopping nodes...")
    _wait(cluster, _signal_all(cluster, number), Node.forget_dead)
    return 0


def _restart(cluster: _Cluster, number: int) -> int:
    """Each node is started again as soon as it has ended; one that did not run is started too [B1141]."""
    cluster.say("> Stopping nodes...")
    told = _signal_all(cluster, number)
    running = {node.name for node in told.values()}
    results: list[bool] = []

    def again(node: Node) -> None:
        cluster.say(f"> Restarting node {node.name}...")
        results.append(_start_one(node, cluster.say))

    for node in cluster.nodes:
        if node.name not in running:
            again(node)
    _wait(cluster, told, again)
    return 0 if all(results) else 1


def _show(cluster: _Cluster) -> int:
    for node in cluster.nodes:
        click.echo(shlex.join(node.words))
    return 0


def _names(cluster: _Cluster) -> int:
    for node in cluster.nodes:
        click.echo(node.name)
    return 0


def _kill(cluster: _Cluster) -> int:
    cluster.say("> Killing nodes...")
    _signal_all(cluster, signal.SIGKILL)
    return 0


_PLAIN: Final[dict[str, Callable[[_Cluster], int]]] = {
    "start": _start,
    "show": _show,
    "names": _names,
    "kill": _kill,
}
_STOPS: Final[dict[str, Callable[[_Cluster, int], int]]] = {
    "stop": _stop,
    "stopwait": _stop_and_wait,
    "stop_verify": _stop_and_wait,
    "restart": _restart,
}
_ALL: Final = (*_PLAIN, *_STOPS, "get", "expand", "help")


def _take_signal(words: list[str]) -> int:
    """Take the signal out of *words*, as ``-9``, ``-KILL`` or ``-SIGQUIT``; SIGTERM where there is none [B722]."""
    for index, word in enumerate(words):
        text = word.removeprefix("-").removeprefix("SIG")
        if not word.startswith("-") or word.startswith("--"):
            continue
        name = f"SIG{text}"
        if name in signal.Signals.__members__:
            del words[index]
            return signal.Signals[name]
        if text.isdecimal() and int(text) in {int(member) for member in signal.Signals}:
            del words[index]
            return int(text)
    return signal.SIGTERM


_HELP: Final = """Start and stop groups of workers that go on without a terminal.

\b
start NAMES|N OPTIONS     start nodes w1 w2 ..., or N of them
stop, stopwait NAMES      tell them to finish and end; wait for that
restart NAMES OPTIONS     the same, and start each again
kill NAMES                end them at once; what runs goes back to its queue
show, names, get NAME     show the command lines; the names; one of them
expand TEMPLATE NAMES     show TEMPLATE, such as /run/%n.pid, for each

OPTIONS are those of `umbel worker`, for all nodes or for some: -c 3 -c:1-2 10 -Q:mail mails. Nothing is stored about
the nodes, which are found by their --pidfile (default %n.pid): give the same names and options to stop them. A
signal may be given to stop and restart: -QUIT. A supervisor such as systemd also starts again what has crashed.
"""


@click.command(
    "multi",
    help=_HELP,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("verb", metavar="COMMAND")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[NAMES] [OPTIONS]")
@click.pass_context
def command(context: click.Context, verb: str, words: tuple[str, ...]) -> int:
    """Run one of the commands; its exit code is 1 where a node could not be started."""
    given = list(words)
    if verb in _STOPS:
        number = _take_signal(given)
        return _STOPS[verb](_cluster(context, given), number)
    if verb in _PLAIN:
        return _PLAIN[verb](_cluster(context, given))
    if verb in ("get", "expand") and given:
        first = given.pop(0)
        return _get(context, first, given) if verb == "get" else _expand(context, first, given)
    if verb == "help":
        click.echo(context.get_help())
        return 0
    if verb in _ALL:
        raise click.UsageError(f"expected more behind {verb}: a name or a template, and the nodes")
    raise click.UsageError(f"no command named {verb!r}{suggest(verb, _ALL)}")


def _get(context: click.Context, name: str, words: Sequence[str]) -> int:
    for node in _cluster(context, words).nodes:
        if name in (node.name, node.name.partition("@")[0]):
            click.echo(shlex.join(node.words))
            return 0
    raise click.UsageError(f"there is no node {name!r} among those that are named")


def _expand(context: click.Context, template: str, words: Sequence[str]) -> int:
    for node in _cluster(context, words).nodes:
        click.echo(expand(template, node.name))
    return 0
