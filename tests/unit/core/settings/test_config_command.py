"""``umbel config``."""

from __future__ import annotations

import json
import types
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from umbel.cli.config import command
from umbel.exceptions import ImproperlyConfigured
from umbel.settings import OPTIONS, Configuration


@pytest.fixture
def conf() -> Configuration:
    return Configuration()


@pytest.fixture
def run(conf: Configuration) -> Callable[..., Result]:
    session = types.SimpleNamespace(app=types.SimpleNamespace(conf=conf), quiet=False, no_color=True)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments, obj=session, catch_exceptions=False)

    return run


def test_what_was_set_is_shown_with_its_origin_and_no_password(conf: Configuration, run: Callable[..., Result]) -> None:
    conf.add_source({"broker": "redis://u:hunter2@h", "sqlite": {"x": 1}}, "umbel.toml, line 1")
    conf.load_environment({"UMBEL_WORKER_CONCURRENCY": "4"})
    assert run().output.splitlines() == [
        "broker_url          'redis://u:**@h'  umbel.toml, line 1",
        "worker_concurrency  4                 the environment variable UMBEL_WORKER_CONCURRENCY",
        "sqlite.x            1                 umbel.toml, line 1",
    ]


def test_nothing_set(run: Callable[..., Result]) -> None:
    result = run()
    assert result.stdout == ""
    assert "every setting has its default" in result.stderr


def test_all(run: Callable[..., Result]) -> None:
    lines = run("--all").output.splitlines()
    assert [line.split()[0] for line in lines] == list(OPTIONS)


def test_names_and_parts_of_names(run: Callable[..., Result]) -> None:
    assert run("task_serializer").output == "task_serializer  'json'  default\n"
    assert [line.split()[0] for line in run("time_limit").output.splitlines()] == [
        "task_time_limit",
        "task_soft_time_limit",
    ]
    with pytest.raises(
        ImproperlyConfigured, match="no setting is called 'task_serialiser'; did you mean 'task_serializer'"
    ):
        run("task_serialiser")


def test_json(conf: Configuration, run: Callable[..., Result]) -> None:
    conf.update(task_time_limit=3, place="the command line")
    assert json.loads(run("--json").output) == [
        {
            "name": "task_time_limit",
            "value": 3.0,
            "origin": "the command line",
            "layer": "assigned",
            "default": None,
        }
    ]
    assert len(json.loads(run("--all", "--json").output)) == len(OPTIONS)


def test_check(conf: Configuration, run: Callable[..., Result]) -> None:
    assert run("--check").output == "the configuration is sound\n"
    conf.task_time_limit, conf.task_soft_time_limit = 1, 2
    with pytest.raises(ImproperlyConfigured, match="cannot stand together"):
        run("--check")
