"""Files, modules, variables: what is read, and what a broken source is told."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from umbel.exceptions import ImproperlyConfigured
from umbel.settings import Configuration


@pytest.fixture
def conf() -> Configuration:
    return Configuration()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Return ``module(source)``: writes a module into the working directory and answers its name."""
    monkeypatch.chdir(tmp_path)
    names = []

    def write(source: str) -> str:
        name = f"conf_{uuid.uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(source)
        names.append(name)
        return name

    yield write
    for name in names:
        sys.modules.pop(name, None)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        call()
    return str(caught.value)


# -- TOML --------------------------------------------------------------------------------------------------------------

DOCUMENT = """\
broker = "redis://h"
pool = "threads"
task_always_eager = true

[worker]
concurrency = 3

[task_routes]
"a.*" = {queue = "a"}

[beat.schedule.cleanup]
task = "clean"
schedule = 30.0

[sqlite]
synchronous = "full"
"""


def test_umbel_toml(conf: Configuration, tmp_path: Path) -> None:
    (tmp_path / "umbel.toml").write_text(DOCUMENT)
    assert conf.load_files(tmp_path) == [str(tmp_path / "umbel.toml")]
    assert conf.changes() == {
        "broker_url": "redis://h",
        "worker_pool": "threads",
        "task_always_eager": True,
        "worker_concurrency": 3,
        "task_routes": {"a.*": {"queue": "a"}},
        "beat_schedule": {"cleanup": {"task": "clean", "schedule": 30.0}},
        "sqlite.synchronous": "full",
    }
    lines = {name: str(conf.origin(name)).rpartition(", line ")[2] for name in conf.changes()}
    assert lines == {
        "broker_url": "1",
        "worker_pool": "2",
        "task_always_eager": "3",
        "worker_concurrency": "6",
        "task_routes": "8",
        "beat_schedule": "11",
        "sqlite.synchronous": "16",
    }


def test_pyproject_stands_below_umbel_toml(conf: Configuration, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.umbel]\npool = "solo"\ntask_protocol = 1\n[tool.umbel.worker]\nconcurrency = 9\n'
    )
    (tmp_path / "umbel.toml").write_text('pool = "threads"\n')
    assert [path.rpartition("/")[2] for path in conf.load_files(tmp_path)] == ["pyproject.toml", "umbel.toml"]
    assert (conf.worker_pool, conf.task_protocol, conf.worker_concurrency) == ("threads", 1, 9)
    assert str(conf.origin("task_protocol")) == f"{tmp_path}/pyproject.toml, line 5"
    assert str(conf.origin("worker_concurrency")) == f"{tmp_path}/pyproject.toml, line 7"


def test_a_pyproject_of_others_is_none_of_our_business(conf: Configuration, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.black\nbroken")
    conf.load_files(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['umbel']\n")
    conf.load_files(tmp_path)
    assert conf.changes() == {}
    assert conf.load_files(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("\ntask_always_eager = True\n", 2, "TOML writes true and false in lower case"),
        ("task_time_limit = None", 1, "TOML has no None: leave the line out"),
        ("a = 1\n\nbroker = redis://h\n", 3, "put text between quotes"),
        ("[worker]\nconcurrency 3\n", 2, "correct this line"),
        ('broker = "redis', 1, "correct this line"),
    ],
)
def test_a_broken_file_names_the_line_and_the_cure(
    conf: Configuration, tmp_path: Path, text: str, line: int, hint: str
) -> None:
    (tmp_path / "umbel.toml").write_text(text)
    told = refusal(lambda: conf.load_files(tmp_path))
    assert told.startswith(f"{tmp_path}/umbel.toml, line {line}: ")
    assert told.endswith(hint)


def test_a_file_that_is_no_text(conf: Configuration, tmp_path: Path) -> None:
    (tmp_path / "umbel.toml").write_bytes(b"\xff\xfe\x00")
    assert "cannot read the configuration file" in refusal(lambda: conf.load_files(tmp_path))
    assert "cannot read the configuration file" in refusal(lambda: conf.load_file(tmp_path / "none.toml"))


def test_wrong_names_and_values_in_a_file_name_the_line(conf: Configuration, tmp_path: Path) -> None:
    path = tmp_path / "umbel.toml"
    path.write_text('broker = "memory://"\n[worker]\nconcurency = 3\n')
    assert refusal(lambda: conf.load_file(path)) == (
        f"unknown setting 'worker_concurency', in {path}, line 3; did you mean 'worker_concurrency'?"
    )
    path.write_text('\n\ntask_acks_late = "no"\n')
    assert refusal(lambda: conf.load_file(path)) == (
        f"task_acks_late: expected true or false, got 'no' (str), in {path}, line 3; write False without quotes"
    )
    assert conf.changes() == {}


# -- modules -----------------------------------------------------------------------------------------------------------


def test_a_module_by_its_name(conf: Configuration, module: Callable[[str], str]) -> None:
    """[B405] [C012]; imports and variables of its own are passed over."""
    name = module(
        "import os\nfrom datetime import timedelta\nhost = 'h'\nbroker_url = f'redis://{host}'\n"
        "result_expires = timedelta(1)\ndef helper(): ...\nSECRET = 1\n_task_x = 2\n"
    )
    assert conf.from_object(name) is True
    assert conf.changes() == {"broker_url": "redis://h", "result_expires": 86400.0}
    assert str(conf.origin("broker_url")).endswith(f"{name}.py")


def test_an_attribute_of_a_module(conf: Configuration, module: Callable[[str], str]) -> None:
    name = module("class Production:\n    task_serializer = 'yaml'\nAS_DICT = {'task_protocol': 1}\n")
    conf.from_object(f"{name}:Production")
    conf.from_object(f"{name}.AS_DICT")
    assert conf.changes() == {"task_serializer": "yaml", "task_protocol": 1}
    assert "has no 'Staging'" in refusal(lambda: conf.from_object(f"{name}:Staging"))
    assert "there is no configuration module" in refusal(lambda: conf.from_object(f"{name}.Staging"))


def test_a_misspelt_setting_in_a_module(conf: Configuration, module: Callable[[str], str]) -> None:
    name = module("task_serialiser = 'json'\n")
    assert "did you mean 'task_serializer'?" in refusal(lambda: conf.from_object(name))


def test_a_missing_module_is_said_clearly(conf: Configuration, module: Callable[[str], str]) -> None:
    """[B1120]"""
    told = refusal(lambda: conf.from_object("no_such_config"))
    assert told.startswith("there is no configuration module 'no_such_config'; looked in ")
    assert "write 'celeryconfig', without '.py'" in refusal(lambda: conf.from_object("celeryconfig.py"))
    assert "expected the name of a configuration module, got ''" in refusal(lambda: conf.from_object(""))
    assert conf.from_object("no_such_config", silent=True) is False


@pytest.mark.parametrize("line", ["import no_such_module", "from os import no_such_name", "1 / 0"])
def test_an_error_inside_the_module_is_not_hidden(conf: Configuration, module: Callable[[str], str], line: str) -> None:
    """[B1121]"""
    name = module(f"{line}\n")
    with pytest.raises((ImportError, ZeroDivisionError)) as caught:
        conf.from_object(name, silent=True)
    assert name not in str(caught.value)


def test_sys_path_is_changed_only_meanwhile(
    conf: Configuration, module: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[B1168]"""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    before = list(sys.path)
    name = module("import sys\nimports = tuple(sys.path)\n")
    conf.from_object(name)
    assert str(tmp_path) in conf.imports
    assert sys.path == before
    with pytest.raises(ZeroDivisionError):
        conf.from_object(module("1 / 0"))
    assert sys.path == before


def test_config_from_envvar(conf: Configuration, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """[B406]"""
    monkeypatch.setenv("MY_CONFIG", module("task_protocol = 1\n"))
    assert conf.from_envvar("MY_CONFIG") is True
    assert conf.task_protocol == 1
    monkeypatch.delenv("MY_CONFIG")
    assert "'MY_CONFIG' is not set" in refusal(lambda: conf.from_envvar("MY_CONFIG"))
    assert conf.from_envvar("MY_CONFIG", silent=True) is False


# -- the environment ---------------------------------------------------------------------------------------------------


def test_variables_are_parsed_as_their_settings_type(conf: Configuration) -> None:
    conf.load_environment(
        {
            "UMBEL_TASK_ALWAYS_EAGER": "True",
            "UMBEL_WORKER_CONCURRENCY": " 4 ",
            "UMBEL_TASK_TIME_LIMIT": "2.5",
            "UMBEL_RESULT_EXPIRES": "none",
            "UMBEL_IMPORTS": "a, b",
            "UMBEL_ACCEPT_CONTENT": '["json", "yaml"]',
            "UMBEL_TASK_ROUTES": '{"a.*": {"queue": "a"}}',
            "UMBEL_BROKER_TRANSPORT_OPTIONS": '{"x": 1}',
            "UMBEL_POOL": "threads",
            "UMBEL_TASK_PROTOCOL": "1",
            "UMBEL_TASK_DEFAULT_QUEUE": "",
            "UMBEL_SQLITE__SYNCHRONOUS": "full",
            "OTHER": "x",
        }
    )
    assert conf.changes() == {
        "task_always_eager": True,
        "worker_concurrency": 4,
        "task_time_limit": 2.5,
        "result_expires": None,
        "imports": ("a", "b"),
        "accept_content": ("json", "yaml"),
        "task_routes": {"a.*": {"queue": "a"}},
        "broker_transport_options": {"x": 1},
        "worker_pool": "threads",
        "task_protocol": 1,
        "sqlite.synchronous": "full",
    }
    assert str(conf.origin("task_time_limit")) == "the environment variable UMBEL_TASK_TIME_LIMIT"


def test_celerys_variables_are_read_below_ours(conf: Configuration) -> None:
    """modern.md 2.1"""
    celerys = {
        "CELERY_BROKER_URL": "redis://c",
        "CELERY_RESULT_BACKEND": "disabled",
        "CELERY_BROKER_READ_URL": "redis://r",
    }
    conf.load_environment(celerys)
    assert (conf.broker_url, conf.result_backend, conf.broker_read_url) == ("redis://c", "disabled", "redis://r")
    conf.load_environment({"UMBEL_BROKER_URL": "redis://u", **celerys})
    assert conf.broker_url == "redis://u"


def test_wrong_variables_are_named(conf: Configuration) -> None:
    told = refusal(lambda: conf.load_environment({"UMBEL_WORKER_CONCURRENCY": "many"}))
    assert told.startswith("worker_concurrency: expected a whole number or 'auto', got 'many' (text)")
    assert "in the environment variable UMBEL_WORKER_CONCURRENCY" in told
    told = refusal(lambda: conf.load_environment({"UMBEL_TASK_ALWAY_EAGER": "1"}))
    assert "did you mean 'task_always_eager'?" in told
    assert "hunter2" not in refusal(lambda: conf.load_environment({"UMBEL_BROKER_PORT": "hunter2"})).replace(
        "'hunter2'", ""
    )


def test_variables_of_programs_and_of_container_platforms_are_passed_over(conf: Configuration) -> None:
    conf.load_environment(
        {
            "UMBEL_HOME": "/x",
            "UMBEL_APP": "proj",
            "UMBEL_WORKDIR": "/x",
            "UMBEL_DEBUG": "1",
            "UMBEL_TEST_ROUNDS": "3",
            "UMBEL_SERVICE_HOST": "10.0.0.1",
            "UMBEL_WORKER_SERVICE_PORT_HTTP": "80",
            "UMBEL_PORT": "tcp://10.0.0.1:80",
            "UMBEL_BROKER_PORT": "tcp://10.0.0.1:6379",
            "UMBEL_PORT_80_TCP_ADDR": "10.0.0.1",
        }
    )
    assert conf.changes() == {}
