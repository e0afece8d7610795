"""The command line's frame: lazy commands, global options, errors and exit codes [C003]."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import click
import pytest

from umbel.cli import COMMANDS, cli, main
from umbel.cli.groups import LazyCommand, LazyGroup
from umbel.cli.session import Session
from umbel.exceptions import OperationalError, PluginNotFound


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str, str]]:
    """Return ``run(function, *arguments)``: a command ``probe`` with this body is run; answers (code, out, err)."""

    def run(function: Callable[..., object], *arguments: str) -> tuple[Any, str, str]:
        probe = click.command("probe")(function)
        monkeypatch.setitem(cli.table, "probe", LazyCommand("tests.probe:command", "Probe."))
        monkeypatch.setattr(LazyCommand, "load", lambda self: probe)
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return run


def test_help_lists_each_command_and_imports_none() -> None:
    code = (
        "import sys\nfrom umbel.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.startswith(('umbel.cli.', 'umbel_', 'pluggy', 'stevedore', 'kombu'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in COMMANDS if f"\n  {name} " not in done.stdout] == []
    assert done.stdout.splitlines()[-1] == "['umbel.cli.groups', 'umbel.cli.session']"


def test_python_m_umbel_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "umbel", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("umbel ")


def test_an_unknown_command_is_answered_by_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["wroker"])
    assert caught.value.code == 2
    assert "no command named 'wroker'; did you mean 'worker'?" in capsys.readouterr().err


def test_the_session_carries_the_global_options(run: Callable[..., tuple[Any, str, str]]) -> None:
    @click.pass_obj
    def show(session: Session) -> None:
        assert isinstance(session, Session)
        click.echo((session.app_spec, session.broker, session.result_backend, session.quiet, session.no_color))

    arguments = ["-A", "proj", "-b", "memory://", "--result-backend", "disabled://", "-q", "-C", "probe"]
    assert run(show, *arguments) == (0, "('proj', 'memory://', 'disabled://', True, True)\n", "")


def test_the_application_may_be_named_by_the_environment(
    run: Callable[..., tuple[Any, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBEL_APP", "from.environment")
    monkeypatch.setenv("NO_COLOR", "1")

    @click.pass_obj
    def show(session: Session) -> None:
        click.echo((session.app_spec, session.no_color))

    assert run(show, "probe")[1] == "('from.environment', True)\n"


def test_workdir_is_entered_first(
    run: Callable[..., tuple[Any, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()

    @click.pass_obj
    def show(session: Session) -> None:
        click.echo(session.workdir)

    assert run(show, "--workdir", "inner", "probe")[1] == f"{tmp_path / 'inner'}\n"
    assert run(show, "--workdir", "nowhere", "probe")[0] == 2


def test_a_wrong_configuration_is_one_line_and_exit_code_78(run: Callable[..., tuple[Any, str, str]]) -> None:
    def fail() -> Never:
        raise PluginNotFound("no transport named 'x' is installed")

    assert run(fail, "probe") == (78, "", "umbel: no transport named 'x' is installed\n")


def test_another_error_of_ours_is_one_line_and_exit_code_1(run: Callable[..., tuple[Any, str, str]]) -> None:
    def fail() -> Never:
        raise OperationalError("no answer from redis://host")

    assert run(fail, "probe") == (1, "", "umbel: no answer from redis://host\n")


def test_umbel_debug_shows_the_traceback(
    run: Callable[..., tuple[Any, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Never:
        raise OperationalError("no answer")

    monkeypatch.setenv("UMBEL_DEBUG", "1")
    with pytest.raises(OperationalError):
        run(fail, "probe")


def test_a_commands_integer_is_the_exit_code(run: Callable[..., tuple[Any, str, str]]) -> None:
    assert run(lambda: 3, "probe")[0] == 3


def test_a_global_option_behind_the_command_is_told_its_place(run: Callable[..., tuple[Any, str, str]]) -> None:
    code, _, err = run(lambda: None, "probe", "-A", "proj")
    assert code == 2
    assert "-A stands before the command: umbel -A ... probe" in err
    assert "No such option" in run(lambda: None, "probe", "--no-such")[2]


def test_an_abort_says_so(run: Callable[..., tuple[Any, str, str]]) -> None:
    def abort() -> Never:
        raise click.Abort

    assert run(abort, "probe") == (1, "", "umbel: aborted\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import click\nfrom umbel.cli import cli, main\nfrom umbel.cli.groups import LazyCommand\n"
        "@click.command()\ndef command():\n    for _ in range(100000): click.echo('line')\n"
        "LazyCommand.load = lambda self: command\nmain(['report'])"
    )
    producer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert producer.stdout is not None
    assert producer.stderr is not None
    producer.stdout.readline()
    producer.stdout.close()
    assert producer.stderr.read() == b""
    producer.stderr.close()
    assert producer.wait(timeout=20) == 1


EXTENSION = """
import click
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo

plugin_info = PluginInfo(kind="extension", names=("demo",), summary="a demo")

@click.command("flower")
def flower():
    click.echo("blooming")

@hookimpl
def umbel_cli_commands():
    return [flower]
"""


def test_an_extension_brings_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "flower-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flower\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[umbel.extensions]\ndemo = made_flower\nbroken = no_such_flower\n")
    (tmp_path / "made_flower.py").write_text(EXTENSION)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        main(["flower"])
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (0, "blooming\n")
    assert "extension 'broken' (from flower 1)" in err


def test_every_command_of_the_table_can_be_imported_and_has_the_help_of_the_table() -> None:
    assert isinstance(cli, LazyGroup)
    for name, lazy in COMMANDS.items():
        command = lazy.load()
        assert command.name == name
        assert (command.help or "").strip(), f"{name} has no help"
