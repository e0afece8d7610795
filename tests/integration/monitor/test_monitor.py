"""The monitor as its users see it: keys in, screen out, over a real broker with a real worker."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from umbel.events.line import EventLine
from umbel.protocol.events import make_event
from umbel.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from tests.integration.monitor.conftest import Desk, Shop


def send(shop: Shop, name: str, *args: object) -> str:
    return str(shop.app.tasks[name].apply_async(args).id)


# -- looking ----------------------------------------------------------------------------------------------------------


def test_tasks_workers_queues_and_names_are_seen(shop: Shop) -> None:
    """[A418] [A419]."""

    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("SUCCESS", "shop.orders.add", "(2, 3)", "→ 5", "w1@here", "1 done")
        await desk.press("2")
        await desk.sees("WORKER", "● w1@here", "0/1", "py-umbel")
        await desk.press("3")
        await desk.sees("QUEUE", "celery", "TAKERS")
        await desk.press("4")
        await desk.sees("CAME/S", "P95", "shop.orders.add")
        await desk.press("tab")
        await desk.sees("STATE", "CALL → OUTCOME")

    shop.worker()
    shop.watch(user)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_it_fills_the_terminal(shop: Shop, size: tuple[int, int]) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.orders.fail", "A7")
        await desk.sees("FAILURE", "● live", "1 failed", "ended", "waiting", "Quit")
        await desk.until(lambda: "2 Workers 1" in desk.text(), "the number of workers")
        lines = desk.text().split("\n")
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        if size[0] > 100:  # all tables at once
            await desk.sees("STATE", "BUSY", "TAKERS", "CAME/S")

    shop.worker()
    shop.watch(user, size)


def test_a_task_is_seen_in_full_with_its_traceback(shop: Shop) -> None:
    """[B898] [B269]."""

    async def user(desk: Desk) -> None:
        await desk.listens()
        uuid = send(shop, "shop.orders.fail", "A7")
        await desk.sees("FAILURE")
        await desk.press("enter")
        await desk.sees(uuid, "received", "started", "failed", "'A7'", "order A7 is refused", "traceback")
        await desk.press("t")
        await desk.sees("Traceback (most recent call last)", "ValueError: order A7 is refused")
        await desk.press("escape")
        await desk.sees("CALL → OUTCOME")
        await desk.press("r")
        await desk.sees("error", "order A7 is refused")

    shop.worker()
    shop.watch(user, (100, 40))


def test_a_worker_is_seen_in_full(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.press("2")
        await desk.sees("● w1@here")
        await desk.press("enter")
        await desk.sees("online", "max-concurrency", "queues", "celery")
        await desk.press("escape")
        await desk.sees("BUSY")

    shop.worker()
    shop.watch(user, (100, 45))


def test_words_choose_tasks_while_they_are_written(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.orders.fail", "A7")
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("FAILURE", "SUCCESS")
        await desk.press("slash")
        await desk.write("state:failed")
        await desk.sees_no("SUCCESS")
        await desk.sees("FAILURE", "1 Tasks 1")
        await desk.press("enter", "slash", "end")
        await desk.write(" stat:x")
        await desk.sees("no field 'stat'; did you mean 'state'?")
        await desk.press("escape")
        await desk.sees("SUCCESS", "FAILURE")
        await desk.press("s", "s")
        await desk.sees_no("SUCCESS")
        await desk.sees("failed", "FAILURE")
        await desk.press("escape")
        await desk.sees("SUCCESS")

    shop.worker()
    shop.watch(user)


def test_a_name_leads_to_its_tasks(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.orders.fail", "A7")
        await desk.sees("FAILURE")
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("SUCCESS")
        await desk.press("4")
        await desk.sees("CAME/S", "shop.orders.fail")
        await desk.press("end")
        names = desk.monitor.board.panel
        await desk.until(lambda: names.selected is names.things[-1], "the last name")
        chosen = names.things[-1].name
        await desk.press("enter")
        await desk.sees(f"name:{chosen}", "1 Tasks 1")

    shop.worker()
    shop.watch(user)


def test_the_list_holds_still_while_a_task_is_looked_at(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        for number in range(5):
            send(shop, "shop.orders.add", number, 0)
        await desk.until(lambda: desk.text().count("SUCCESS") == 5, "five tasks")
        await desk.press("j", "j")
        chosen = desk.monitor.board.tasks.selected
        send(shop, "shop.orders.add", 77, 0)
        await desk.sees("held, 1 new")
        assert "(77, 0)" not in desk.text()
        assert desk.monitor.board.tasks.selected is chosen
        await desk.press("g")
        await desk.sees("(77, 0)")
        await desk.press("space")
        await desk.sees("held")

    shop.worker()
    shop.watch(user)


def test_help_names_every_key(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.press("question_mark")
        await desk.sees("Keys", "revoke the task", "filter: words", "traceback")
        await desk.press("escape")
        await desk.sees("CALL → OUTCOME")

    shop.watch(user, (80, 32))


# -- acting -----------------------------------------------------------------------------------------------------------


def test_a_revoked_task_does_not_run(shop: Shop) -> None:
    """[B269] [B898]."""

    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.mail.hold", "first")
        await desk.sees("STARTED")
        second = send(shop, "shop.mail.hold", "second")
        await desk.sees("RECEIVED")
        await desk.until(
            lambda: getattr(desk.monitor.board.tasks.selected, "uuid", None) == second, "the second as the latest"
        )
        await desk.press("c")
        await desk.sees("Revoke", second)
        await desk.press("n")
        await desk.sees_no("yes")
        await desk.press("c")
        await desk.sees("yes")
        await desk.press("y")
        await desk.sees("revoked (1 worker)")
        shop.gate.set()
        await desk.until(lambda: desk.monitor.site.cluster.states()["REVOKED"] == 1, "the revocation")
        await desk.sees("REVOKED", "1 revoked")

    shop.worker()
    shop.watch(user)
    assert shop.ran == ["first"]


def test_what_has_ended_is_not_revoked(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("SUCCESS")
        await desk.press("c")
        await desk.sees("it has ended already: SUCCESS")
        await desk.press("2", "c")  # no key of that table
        await desk.sees("WORKER")

    shop.worker()
    shop.watch(user)


def test_a_rate_is_limited(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("SUCCESS")
        await desk.press("l")
        await desk.sees("Rate limit", "shop.orders.add")
        await desk.write("10/x")
        await desk.press("enter")
        await desk.sees("expected a number a second")
        await desk.press("backspace", "m", "enter")
        await desk.sees("shop.orders.add: 10/m (1 worker)")

    worker = shop.worker()
    shop.watch(user)
    assert worker is not None


def test_workers_can_be_asked_to_tell_of_tasks(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.sees("Workers are there, and tell of no task.")
        await desk.press("e")
        await desk.sees("workers tell of tasks (1 worker)")
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("SUCCESS")

    shop.worker(task_events=False)
    shop.watch(user)


def test_workers_that_join_are_told_to_tell(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.sees("No worker is heard.")
        shop.worker(task_events=False)
        await desk.sees("workers tell of tasks (1 worker)")
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("SUCCESS")

    shop.watch(user, enables=True)


def test_a_worker_is_shut_down(shop: Shop) -> None:
    """[A418]."""

    async def user(desk: Desk) -> None:
        await desk.press("2")
        await desk.sees("● w1@here")
        await desk.press("x")
        await desk.sees("Shut down", "w1@here", "finishes what it runs")
        await desk.press("y")
        await desk.sees("was told to finish")
        await desk.sees("○ w1@here", "1 off")

    shop.worker()
    shop.watch(user)


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_without_workers_there_is_a_hint(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.sees("No worker is heard.", "umbel -A MODULE worker -E")

    shop.watch(user)


def test_a_terminal_that_is_too_small_is_told_so_and_may_grow(shop: Shop) -> None:
    """[B1156]."""

    async def user(desk: Desk) -> None:
        await desk.sees("This terminal has 40 x 10 cells.", "The monitor needs 60 x 14")
        await desk.pilot.resize_terminal(100, 30)
        await desk.sees("STATE", "Quit")
        assert "This terminal" not in desk.text()
        await desk.pilot.resize_terminal(160, 50)
        await desk.sees("STATE", "BUSY", "CAME/S")

    shop.watch(user, (40, 10))


def test_hostile_texts_do_not_reach_the_terminal(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        send(shop, "shop.orders.fail", "\x1b[2J[bold]\x07\u202e" + "x" * 5000)
        await desk.sees("FAILURE")
        await desk.press("enter")
        await desk.sees("arguments")
        for key in ("r", "t"):
            await desk.press(key)
            await desk.sees("[bold]")  # no markup of ours
            assert all(character.isprintable() or character == "\n" for character in desk.text())

    shop.worker()
    shop.watch(user)


def test_events_of_nonsense_do_no_harm(shop: Shop) -> None:
    async def user(desk: Desk) -> None:
        await desk.listens()
        with shop.app.events.Dispatcher(hostname="odd@h") as dispatcher:
            nonsense: list[dict[str, Any]] = [{"runtime": "long"}, {"runtime": 1e400}, {"name": 5, "args": ["x"]}]
            for fields in nonsense:
                dispatcher.send("task-received", uuid="odd", **fields)
                dispatcher.send("task-succeeded", uuid="odd", **fields)
            dispatcher.send("worker-heartbeat", freq="often", active="many", loadavg="high", processed="all")
            dispatcher.send("custom-thing", uuid="odd")
        send(shop, "shop.orders.add", 2, 3)
        await desk.sees("→ 5")
        for key in ("2", "3", "4", "1"):
            await desk.press(key)
        await desk.sees("→ 5", "● live")

    shop.worker()
    shop.watch(user)


def test_a_lost_broker_is_told_and_heard_again(far_shop: tuple[Shop, TcpProxy]) -> None:
    shop, proxy = far_shop

    async def user(desk: Desk) -> None:
        await desk.listens()
        proxy.cutter = lambda passage: 0
        proxy.cut()
        await desk.sees("broker away")
        proxy.cutter = None
        await desk.sees("● live")
        with shop.app.events.Dispatcher(hostname="back@h") as dispatcher:
            dispatcher.send("worker-heartbeat", freq=60)
        await desk.sees("2 Workers 1")

    shop.watch(user)


def test_a_flood_does_not_freeze_the_screen(shop: Shop) -> None:
    """However many events come, keys are answered and memory is bounded; all are counted."""
    total, node = 3_000, "flood@h"

    def flood() -> None:
        line, told = EventLine(shop.app, node), 0
        for start in range(0, total, 100):
            events = []
            for number in range(start, start + 100):
                for subject, fields in (("received", {"name": "flood.it"}), ("succeeded", {"runtime": 0.01})):
                    told += 1
                    events.append(make_event(f"task-{subject}", {"uuid": f"f{number}", **fields}, node, 1, told))
            line.publish(line.prepare(events))
        line.close()

    async def user(desk: Desk) -> None:
        await desk.listens()
        thread = threading.Thread(target=flood)
        thread.start()
        await desk.sees("flood.it")
        await desk.press("question_mark")
        await desk.sees("Keys")
        await desk.press("escape", "4")
        await desk.sees("CAME/S", "flood.it")
        meter = desk.monitor.site.cluster.meter
        await desk.until(lambda: meter.totals["succeeded"] == total, "the count of all")
        thread.join()
        assert len(desk.monitor.site.cluster.state.tasks) <= 10_000

    shop.watch(user)
