"""Sections: the settings of plugins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from umbel.exceptions import ImproperlyConfigured
from umbel.host import Host
from umbel.settings import Configuration, ForeignSettingWarning
from umbel.settings.plugin_sections import PluginSections


@attrs.frozen(kw_only=True)
class Store:
    synchronous: str = attrs.field(default="normal", validator=attrs.validators.in_(["normal", "full"]))
    busy_timeout_s: float = 5.0
    password: str | None = None
    flags: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Results:
    flat_prefix: ClassVar[str] = "redis_"
    socket_timeout: float = 120.0
    keep_s: float = 1.0


class Directory:
    def __init__(self, **classes: Sequence[type[Any]]) -> None:
        self.classes = classes
        self.imported: list[str] = []

    def section_names(self) -> list[str]:
        return list(self.classes)

    def section_classes(self, name: str) -> Sequence[type[Any]]:
        self.imported.append(name)
        return self.classes[name]


@pytest.fixture
def conf() -> Configuration:
    return Configuration()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        call()
    return str(caught.value)


def test_a_section_is_an_instance_of_the_plugins_class(conf: Configuration) -> None:
    conf.update({"sqlite": {"synchronous": "full", "busy_timeout_s": 3}})
    assert conf.section("sqlite", Store) == Store(synchronous="full", busy_timeout_s=3.0)
    assert conf.section("sqlite") == conf.section("sqlite", Store)
    assert conf.section("sqlite") is conf.section("sqlite")


def test_a_change_makes_a_new_instance(conf: Configuration) -> None:
    conf.register_section("sqlite", Store)
    assert conf.section("sqlite").busy_timeout_s == 5.0
    conf["sqlite.busy_timeout_s"] = 1
    assert conf.section("sqlite").busy_timeout_s == 1.0
    del conf["sqlite.busy_timeout_s"]
    assert conf.section("sqlite").busy_timeout_s == 5.0


def test_variables_are_parsed_as_the_fields_type(conf: Configuration) -> None:
    conf.load_environment({"UMBEL_SQLITE__BUSY_TIMEOUT_S": "2.5", "UMBEL_SQLITE__FLAGS": "a,b"})
    assert conf.section("sqlite", Store) == Store(busy_timeout_s=2.5, flags=("a", "b"))


def test_an_unknown_key_is_an_error_with_the_nearest(conf: Configuration) -> None:
    conf.add_source({"sqlite": {"syncronous": "full"}}, "umbel.toml, line 4")
    assert refusal(lambda: conf.section("sqlite", Store)) == (
        "unknown setting 'syncronous' of the plugin 'sqlite', in umbel.toml, line 4; did you mean 'synchronous'?"
    )


def test_a_wrong_value_names_its_place(conf: Configuration) -> None:
    conf.add_source({"sqlite": {"busy_timeout_s": "long"}}, "umbel.toml, line 4")
    told = refusal(lambda: conf.section("sqlite", Store))
    assert told == "sqlite.busy_timeout_s: expected a number, got 'long' (str), in umbel.toml, line 4"
    conf.update({"sqlite": {"busy_timeout_s": 1, "synchronous": "of"}}, place="the command line")
    told = refusal(lambda: conf.section("sqlite", Store))
    assert told.startswith("sqlite.synchronous: ")
    assert told.endswith("got 'of', in the command line")


def test_secrets_of_sections_are_masked(conf: Configuration) -> None:
    conf.update({"sqlite": {"password": "hunter2"}})
    assert "hunter2" not in conf.humanize()
    conf.update({"sqlite": {"password": ["hunter2"]}})
    assert "hunter2" not in refusal(lambda: conf.section("sqlite", Store))


def test_two_plugins_may_share_a_section(conf: Configuration) -> None:
    conf.register_section("sqlite", Store)
    conf.register_section("sqlite", Results)
    conf.update({"sqlite": {"keep_s": 3, "synchronous": "full"}})
    assert conf.section("sqlite", Store).synchronous == "full"
    assert conf.section("sqlite", Results).keep_s == 3.0
    assert "ask with conf.section('sqlite', CLASS)" in refusal(lambda: conf.section("sqlite"))


def test_celerys_flat_names_reach_the_plugin_that_asks_for_them(conf: Any) -> None:
    conf.use_plugins(Directory(redis=[Results]))
    conf.redis_socket_timeout = 30
    assert conf.section("redis").socket_timeout == 30.0
    conf.register_section("redis", Results)
    conf["redis_keep_s"] = 9
    assert conf.section("redis", Results).keep_s == 9.0


def test_without_a_class_a_section_is_a_mapping(conf: Configuration) -> None:
    conf.update({"other": {"x": 1}})
    assert dict(conf.section("other")) == {"x": 1}


def test_sections_that_nobody_has(conf: Configuration) -> None:
    directory = Directory(sqlite=[Store], memory=[])
    conf.add_source({"sqllite": {"synchronous": "full"}}, "umbel.toml, line 4")
    conf.use_plugins(directory)
    assert refusal(conf.check) == (
        "unknown section 'sqllite', in umbel.toml, line 4: no installed plugin has this name; did you mean 'sqlite'?"
    )
    assert "unknown section 'postgres'" in refusal(lambda: conf.update({"postgres": {"x": 1}}))
    assert directory.imported == []


def test_a_plugin_may_have_a_second_section(conf: Configuration, tmp_path: Path) -> None:
    conf.use_plugins(Directory(redis=[]))
    (tmp_path / "umbel.toml").write_text("[redis_results]\nkeep_s = 3\n[redis]\nlease_s = 1\n")
    conf.load_files(tmp_path)
    conf.check()
    assert conf.section("redis_results", Results).keep_s == 3.0
    assert str(conf.origin("redis_results.keep_s")).endswith("line 2")


def test_check_builds_each_section(conf: Configuration) -> None:
    conf.use_plugins(Directory(sqlite=[Store]))
    conf.update({"sqlite": {"busy_timeout_s": "long"}})
    assert "expected a number" in refusal(conf.check)


def test_a_foreign_name_of_an_installed_plugin_gives_no_warning(conf: Any) -> None:
    conf.use_plugins(Directory(redis=[Results]))
    conf.redis_db = 3
    with pytest.warns(ForeignSettingWarning, match="'mongodb'"):
        conf.mongodb_backend_settings = {}


def test_the_hosts_plugins_are_the_sections(conf: Configuration) -> None:
    sections = PluginSections(Host())
    assert {"memory", "sqlite", "json", "prefork"} <= set(sections.section_names())
    conf.use_plugins(sections)
    said = refusal(lambda: conf.update({"sqlitee": {"x": 1}}))
    assert "unknown section 'sqlitee'" in said
    assert "did you mean 'sqlite'?" in said
