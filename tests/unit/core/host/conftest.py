"""Distributions with plugins, made for a test: a module and its metadata on the import path."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

_numbers = itertools.count()

TRANSPORT = """
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Transport, TransportCapabilities

plugin_info = PluginInfo(kind="transport", names=("demo",), summary="a demo", capabilities=TransportCapabilities())

class Demo(Transport):
    def __init__(self, url): self.url = url
    def open(self, timeout_s): ...
    def close(self): ...
    def declare(self, queues): ...
    def publish(self, publications, timeout_s): ...
    def consume(self, queues, prefetch, name): ...
    def count(self, queues): return [0] * len(queues)
    def purge(self, queue): return 0
    def delete(self, queue): ...

@hookimpl
def umbel_transport(app, url):
    return Demo(url)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Return ``install(source, group="umbel.transports", name="demo", distribution="demo-plugins")`` -> module name."""
    made = []

    def install(
        source: str,
        group: str = "umbel.transports",
        name: str = "demo",
        distribution: str = "demo-plugins",
        requires: Sequence[str] = (),
    ) -> str:
        number = next(_numbers)
        module = f"made_for_a_test_{number}"
        folder = tmp_path / f"site{number}"
        info = folder / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(textwrap.dedent(source))
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.5"]
        (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {one}" for one in requires), ""]))
        monkeypatch.syspath_prepend(str(folder))
        made.append(module)
        return module

    yield install
    for module in made:
        sys.modules.pop(module, None)


@pytest.fixture
def transport_source() -> str:
    return TRANSPORT
