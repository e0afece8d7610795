"""A monitor with real workers, driven as by a user."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import attrs
import pytest
from textual.pilot import Pilot

from umbel import Umbel
from umbel.testing.proxy import TcpProxy
from umbel.testing.servers import Server
from umbel.worker import Worker
from umbel_extension_monitor.feeds.site import Site
from umbel_extension_monitor.screen.monitor import MonitorApp

DEADLINE_S = 20.0

User = Callable[["Desk"], Awaitable[None]]


@attrs.define(eq=False)
class Shop:
    """An application with its tasks, and workers of it in threads of this process."""

    app: Umbel
    stack: ExitStack
    gate: threading.Event = attrs.field(factory=threading.Event)
    ran: list[Any] = attrs.field(factory=list)

    def worker(self, name: str = "w1@here", **options: Any) -> Worker:
        """Start a worker; it hears commands on return."""
        options = {"pool": "threads", "concurrency": 1, "shutdown_timeout_s": 5.0, "task_events": True, **options}
        worker = Worker(self.app, hostname=name, **options)
        self.stack.enter_context(worker)
        self.stack.callback(self.gate.set)  # what waits there would hold up the end
        assert worker.control.listener.wait_until_heard(DEADLINE_S)
        return worker

    def watch(self, user: User, size: tuple[int, int] = (100, 30), **options: Any) -> None:
        """Run a monitor, and *user* before it."""

        async def run() -> None:
            monitor = MonitorApp(Site.of(self.app), refresh_s=0.05, **options)
            async with monitor.run_test(size=size, notifications=True) as pilot:
                await user(Desk(self, monitor, pilot))

        asyncio.run(run())


@attrs.define(eq=False)
class Desk:
    """Where a user sits: keys to press, a screen to read."""

    shop: Shop
    monitor: MonitorApp
    pilot: Pilot[Any]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def write(self, text: str) -> None:
        await self.pilot.press(*("space" if letter == " " else letter for letter in text))

    def text(self) -> str:
        """Return what the screen shows."""
        return "\n".join(strip.text for strip in self.monitor.screen._compositor.render_strips())

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for a condition that no signal tells of; fails after a deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come within {DEADLINE_S} s; seen:\n{self.text()}"
            await self.pilot.pause(0.02)

    async def sees(self, *texts: str) -> None:
        """Wait until all *texts* are on the screen."""
        await self.until(lambda: all(text in self.text() for text in texts), f"{texts}")

    async def sees_no(self, text: str) -> None:
        """Wait until *text* is not on the screen."""
        await self.until(lambda: text not in self.text(), f"the end of {text!r}")

    async def listens(self) -> None:
        """Wait until what happens from now on is heard."""
        await self.until(lambda: self.monitor.site.listening.is_connected, "the connection")


def make_shop(url: str, stack: ExitStack) -> Shop:
    app = Umbel(
        "shop",
        broker=url,
        backend=f"memory://{secrets.token_hex(6)}",
        set_as_current=False,
        event_queue_ttl=60.0,  # nothing is dropped, however slow the machine
    )
    stack.callback(app.close)
    shop = Shop(app, stack)

    @app.task(name="shop.orders.add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="shop.orders.fail")
    def fail(order: str) -> None:
        raise ValueError(f"order {order} is refused")

    @app.task(name="shop.mail.hold")
    def hold(mark: str) -> str:
        shop.ran.append(mark)
        assert shop.gate.wait(DEADLINE_S)
        return mark

    return shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    with ExitStack() as stack:
        yield make_shop(f"memory://{secrets.token_hex(6)}", stack)


@pytest.fixture
def far_shop(redis_server: Server) -> Iterator[tuple[Shop, TcpProxy]]:
    """An application whose broker can be cut off."""
    with ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy("127.0.0.1", redis_server.port))
        yield make_shop(f"redis://127.0.0.1:{proxy.port}/7", stack), proxy
