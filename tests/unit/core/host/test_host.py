"""The host: discovery without imports, checks at load, typed answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from umbel.exceptions import ImproperlyConfigured, PluginConflict, PluginError, PluginNotFound
from umbel.host import Host
from umbel.model import KINDS, Route, RouteQuery
from umbel.signals import task_prerun
from umbel.spi import Compressor, PoolOptions, Serializer, Transport

ANY: Any = None  # where a test does not look at the argument


def header(kind: str, **more: Any) -> str:
    extra = "".join(f", {name}={value!r}" for name, value in more.items())
    return f"""
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo, Route
plugin_info = PluginInfo(kind={kind!r}, names=("demo",), summary="a demo"{extra})
"""


def url_of(host: Host, url: str) -> Any:
    """Return the URL that the plugin was given."""
    transport: Any = host.transport(None, url)
    return transport.url


# -- discovery --------------------------------------------------------------------------------------------------------


def test_installed_plugins_are_listed_with_their_distribution_and_not_imported(install: Callable[..., str]) -> None:
    module = install("raise RuntimeError('imported')")
    (found,) = [plugin for plugin in Host().installed("transport") if plugin.name == "demo"]
    assert (found.kind, found.module, found.distribution, found.version) == (
        "transport",
        module,
        "demo-plugins",
        "1.5",
    )
    assert module not in sys.modules


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_listed(kind: str) -> None:
    names = [plugin.name for plugin in Host().installed(kind)]
    assert names == sorted(names)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="expected a kind of plugin, got 'transprot'; the kinds are: tra"):
        Host().installed("transprot")


def test_an_unknown_name_is_answered_by_the_nearest(install: Callable[..., str], transport_source: str) -> None:
    install(transport_source, name="rabbit")
    with pytest.raises(PluginNotFound, match=r"no transport named 'rabit' is installed; did you mean 'rabbit'\?"):
        Host().transport(None, "rabit://")


def test_two_distributions_of_one_name_are_both_named(install: Callable[..., str], transport_source: str) -> None:
    install(transport_source, distribution="demo-one")
    install(transport_source, distribution="demo-two")
    with pytest.raises(PluginConflict, match=r"demo-one 1.5 and demo-two 1.5; .*choose with demo@demo-one"):
        Host().load("transport", "demo")


def test_name_at_distribution_chooses(install: Callable[..., str], transport_source: str) -> None:
    install(transport_source, distribution="demo-one")
    module = install(transport_source, distribution="Demo.Two")
    host = Host()
    assert host.load("transport", "demo@demo-two").module.__name__ == module
    made = url_of(host, "demo@demo_two://host/path")
    assert made == "demo://host/path"
    with pytest.raises(PluginNotFound, match="'demo-three' offers no transport named 'demo'; it is offered by: "):
        host.load("transport", "demo@demo-three")


# -- loading ----------------------------------------------------------------------------------------------------------


def test_only_what_is_named_is_imported(install: Callable[..., str], transport_source: str) -> None:
    install(transport_source)
    other = install("raise RuntimeError('imported')", name="other", distribution="others")
    assert isinstance(Host().transport(None, "demo://"), Transport)
    assert other not in sys.modules


def test_a_scheme_alone_is_a_url(install: Callable[..., str], transport_source: str) -> None:
    install(transport_source)
    host = Host()
    assert url_of(host, "demo") == "demo://"
    assert url_of(host, "demo://") == "demo://"


def test_the_plugin_is_imported_once(install: Callable[..., str], transport_source: str) -> None:
    install(transport_source)
    host = Host()
    assert host.load("transport", "demo") is host.load("transport", "demo")


def test_a_missing_driver_names_the_extra_of_the_plugin_info(install: Callable[..., str]) -> None:
    install(header("transport", requires=("no_such_driver",), extra="driver"))
    with pytest.raises(PluginError, match=r"needs the module 'no_such_driver', .*pip install 'demo-plugins\[driver\]'"):
        Host().load("transport", "demo")


@pytest.mark.parametrize(
    ("requires", "cure"),
    [
        (('no-such-driver>=2; extra == "redis"',), r"'demo-plugins\[redis\]'$"),
        (('whatever>=2; extra == "no_such_driver"',), r"'demo-plugins\[no_such_driver\]'$"),
        ((), "pip install no_such_driver$"),
    ],
)
def test_a_driver_missing_at_import_is_told_with_the_extra_that_brings_it(
    install: Callable[..., str], requires: Sequence[str], cure: str
) -> None:
    install("import no_such_driver.client", requires=requires)
    with pytest.raises(PluginError, match=cure) as caught:
        Host().load("transport", "demo")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("fault", ["1 / 0", "raise SystemExit(3)", "import umbel.no_such_part"])
def test_failing_at_import_is_one_clear_error_with_its_cause(install: Callable[..., str], fault: str) -> None:
    install(fault)
    with pytest.raises(
        PluginError, match=r"transport 'demo' \(from demo-plugins 1.5\) fails when it is imported"
    ) as caught:
        Host().load("transport", "demo")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", "plugin_info to be an umbel.model.PluginInfo, got None"),
        (header("pool"), "says of itself that it is a pool"),
        (header("transport", api_min=2, api_max=3), "is written for the plugin API 2 to 3, and this Umbel speaks 1"),
        (header("transport"), "must implement umbel_transport, marked with .*; it implements no hook"),
        (
            header("transport") + "@hookimpl\ndef umbel_transprot(app, url): ...",
            "implements umbel_transprot, which is no hook of Umbel; did you mean 'umbel_transport'?",
        ),
        (header("transport") + "@hookimpl\ndef umbel_transport(app, uri): ...", r"does not fit its hooks: (?s:.*)uri"),
        (
            header("extension") + "@hookimpl(wrapper=True)\ndef umbel_task_prerun():\n    yield",
            "wraps umbel_task_prerun, which is told and not asked",
        ),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said_when_it_is_loaded(
    install: Callable[..., str], source: str, text: str
) -> None:
    kind = "extension" if "extension" in source else "transport"
    install(source, group=KINDS[kind])
    with pytest.raises(PluginError, match=text):
        Host().load(kind, "demo")


# -- driver hooks -----------------------------------------------------------------------------------------------------


def test_an_answer_of_the_wrong_type_is_refused(install: Callable[..., str]) -> None:
    install(header("transport") + "@hookimpl\ndef umbel_transport(app, url): return 'a string'")
    with pytest.raises(PluginError, match=r"expected umbel_transport to be a .*Transport, got 'a string'"):
        Host().transport(None, "demo://user:secret@host")


def test_a_hook_that_raises_stops_the_start_and_names_the_plugin(install: Callable[..., str]) -> None:
    install(header("pool") + "@hookimpl\ndef umbel_pool(app, options): return options.nothing", group="umbel.pools")
    with pytest.raises(PluginError, match=r"pool 'demo' \(from .*\) failed in umbel_pool: AttributeError") as caught:
        Host().pool(None, "demo", PoolOptions(concurrency=1))
    assert isinstance(caught.value.__cause__, AttributeError)


def test_umbels_own_errors_pass_through_a_hook(install: Callable[..., str]) -> None:
    install(
        header("transport")
        + "from umbel.exceptions import ImproperlyConfigured\n"
        + "@hookimpl\ndef umbel_transport(app, url): raise ImproperlyConfigured('no path')"
    )
    with pytest.raises(ImproperlyConfigured, match=r"^no path$"):
        Host().transport(None, "demo://")


def test_an_extension_may_wrap_a_driver_hook(install: Callable[..., str], transport_source: str) -> None:
    install(transport_source)
    install(
        header("extension")
        + "@hookimpl(wrapper=True)\ndef umbel_transport(app, url):\n"
        + "    made = yield\n    made.url += '+wrapped'\n    return made",
        group="umbel.extensions",
        name="wrapper",
        distribution="wrappers",
    )
    host = Host()
    host.extensions(None, ["wrapper"])
    assert url_of(host, "demo://") == "demo://+wrapped"


def test_pool_capabilities_are_read_without_making_a_pool(install: Callable[..., str]) -> None:
    install(header("pool") + "@hookimpl\ndef umbel_pool(app, options): 1 / 0", group="umbel.pools")
    with pytest.raises(PluginError, match=r"expected plugin_info.capabilities to be a .*PoolCapabilities, got None"):
        Host().pool_capabilities("demo")


def test_committer_steps_and_commands_come_from_loaded_extensions(install: Callable[..., str]) -> None:
    install(
        header("extension")
        + """
import click

class Step: ...

@hookimpl
def umbel_worker_steps(app): return [Step]

@hookimpl
def umbel_cli_commands(): return [click.Command("extra")]

@hookimpl
def umbel_committer(app, transport, backend): return None
""",
        group="umbel.extensions",
    )
    host = Host()
    assert host.worker_steps(None) == []
    host.extensions(None, ["demo"])
    assert [step.__name__ for step in host.worker_steps(None)] == ["Step"]
    assert [command.name for command in host.cli_commands()] == ["extra"]
    assert host.committer(ANY, ANY, ANY) is None


def test_a_committer_of_the_wrong_type_is_refused(install: Callable[..., str]) -> None:
    install(
        header("extension") + "@hookimpl\ndef umbel_committer(app, transport, backend): return 3",
        group="umbel.extensions",
    )
    host = Host()
    host.extensions(None)
    with pytest.raises(PluginError, match=r"expected umbel_committer to be a .*Committer, got 3"):
        host.committer(ANY, ANY, ANY)


# -- routers ----------------------------------------------------------------------------------------------------------


def test_routers_come_in_the_order_they_are_named(install: Callable[..., str]) -> None:
    for name, answer in (("one", "Route(queue='one')"), ("two", "None"), ("bad", "'queue'")):
        install(
            header("router") + f"@hookimpl\ndef umbel_route(query): return {answer}",
            group="umbel.routers",
            name=name,
            distribution=f"router-{name}",
        )
    host = Host()
    first, second = host.routers(None, ["two", "one"])
    query = RouteQuery("proj.add")
    assert first(None, query) is None
    assert second(None, query) == Route(queue="one")
    with pytest.raises(PluginError, match=r"expected the answer of umbel_route to be a .*Route, got 'queue'"):
        host.routers(None, ["bad"])[0](None, query)


# -- serializers ------------------------------------------------------------------------------------------------------

SERIALIZERS = """
from umbel.spi import Compressor, Serializer

class Demo(Serializer):
    name, content_type = "demo", "application/x-demo"
    def dumps(self, value): return repr(value).encode()
    def loads(self, data): return data.decode()

class Squeeze(Compressor):
    name, aliases, content_type = "squeeze", ("application/x-squeeze-old",), "application/x-squeeze"
    def compress(self, data): return data
    def decompress(self, data, max_bytes=None): return data

@hookimpl
def umbel_serializers(): return [Demo()]

@hookimpl
def umbel_compressors(): return [Squeeze()]
"""


def test_serializers_and_compressors_are_found_by_name_and_type(install: Callable[..., str]) -> None:
    install(header("serializer") + SERIALIZERS, group="umbel.serializers")
    host = Host()
    assert host.serializer_for("application/x-nobody-has-this") is None
    demo = host.serializer("demo")
    assert isinstance(demo, Serializer)
    assert host.serializer_for("application/x-demo") is demo
    squeeze = host.compressor("application/x-squeeze-old")
    assert isinstance(squeeze, Compressor)
    assert host.compressor("squeeze") is squeeze is host.compressor("application/x-squeeze")
    with pytest.raises(PluginNotFound, match=r"no compressor named 'squeez'; did you mean 'squeeze'\?"):
        host.compressor("squeez")


def test_a_content_type_that_names_its_plugin_loads_no_other(install: Callable[..., str]) -> None:
    install(header("serializer") + SERIALIZERS, group="umbel.serializers")
    other = install("raise RuntimeError", group="umbel.serializers", name="aaa", distribution="other")
    assert isinstance(Host().serializer_for("application/x-demo"), Serializer)
    assert other not in sys.modules


def test_a_broken_serializer_does_not_hide_the_others(install: Callable[..., str]) -> None:
    install("import no_such_driver", group="umbel.serializers", name="aaa", distribution="other")
    install(header("serializer") + SERIALIZERS, group="umbel.serializers")
    host = Host()
    assert host.compressor("squeeze").name == "squeeze"
    with pytest.raises(PluginNotFound, match=r"no compressor named 'nothing'.*needs the module 'no_such_driver'"):
        host.compressor("nothing")
    with pytest.raises(PluginError, match="needs the module 'no_such_driver'"):
        host.serializer("aaa")


def test_an_answer_that_is_no_serializer_is_refused(install: Callable[..., str]) -> None:
    install(header("serializer") + "@hookimpl\ndef umbel_serializers(): return ['json']", group="umbel.serializers")
    with pytest.raises(PluginError, match="expected umbel_serializers to return Serializers, got 'json' among them"):
        Host().serializer("demo")


# -- observer hooks ---------------------------------------------------------------------------------------------------

OBSERVER = """
told = []

@hookimpl
def umbel_task_prerun(task_id, sender):
    told.append((sender, task_id))
"""


def test_an_observer_hook_is_the_signal_of_its_name(install: Callable[..., str]) -> None:
    install(header("extension") + OBSERVER, group="umbel.extensions")
    before = task_prerun.receivers
    try:
        for host in (Host(), Host()):  # two hosts in one process connect it once
            (plugin,) = [found for found in host.extensions(None) if found.installed.name == "demo"]
        task_prerun.send_robust("the task", task_id="1", task=None, args=(), kwargs={})
        assert plugin.module.told == [("the task", "1")]
    finally:
        task_prerun.receivers = before


# -- start-up ---------------------------------------------------------------------------------------------------------


def test_making_a_host_and_listing_imports_no_stevedore_and_no_plugin() -> None:
    code = (
        "import sys; from umbel.host import Host; Host().installed('pool'); "
        "print([m for m in sys.modules if m.startswith(('stevedore', 'umbel_', 'kombu', 'billiard', 'click'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
