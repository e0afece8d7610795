"""What a type checker says of tasks. A line that ends in ``# error`` is one in which both checkers find an error."""

from __future__ import annotations

from typing import Any, assert_type

from umbel import AsyncResult, GroupResult, Task, Umbel, group, shared_task

app = Umbel("typing")


@app.task
def add(x: int, y: int = 0) -> int:
    return x + y


@app.task(name="named", acks_late=True, rate_limit="10/m", autoretry_for=(OSError,))
def named(text: str) -> bytes:
    return text.encode()


@app.task(bind=True, max_retries=None)
def bound(self: Task[..., Any], x: int) -> str:
    return f"{self.request.id} {x}"


@app.task
async def fetch(url: str) -> list[str]:
    return [url]


@app.task(bind=True)
async def fetch_bound(self: Task[..., Any], url: str) -> float:
    return len(url) / self.request.retries


@shared_task
def shared(a: int) -> bool:
    return bool(a)


@shared_task(bind=True, ignore_result=True)
def shared_bound(self: Task[..., Any], a: int) -> bool:
    return bool(a)


@shared_task(name="x")
async def shared_async(a: int) -> bool:
    return bool(a)


# -- what is right ----------------------------------------------------------------------------------------------------

assert_type(add(1, 2), int)
assert_type(add.delay(1, y=2), AsyncResult[int])
assert_type(add.delay(1).get(timeout=5), int)
assert_type(add.apply_async((1, 2), countdown=3, queue="q", link=add.s(1)), AsyncResult[int])
assert_type(add.apply((1, 2)).get(), int)
assert_type(add.delay_many([(1, 2), {"x": 3}]), list[AsyncResult[int]])
assert_type(named.delay("a").get(), bytes)
assert_type(bound.delay(1).get(), str)
assert_type(bound(2), str)
assert_type(fetch.delay("http://x").get(), list[str])
assert_type(fetch_bound.delay("http://x").get(), float)
assert_type(shared.delay(1).get(), bool)
assert_type(shared_bound.delay(1).get(), bool)
assert_type(shared_async.delay(1).get(), bool)


async def awaiting() -> None:
    assert_type(await add.adelay(1, 2), AsyncResult[int])
    assert_type(await add.delay(1), int)
    assert_type(await fetch("http://x"), list[str])
    assert_type(await (await fetch.aapply_async(("http://x",))).aget(timeout=1), list[str])


group(add.s(1), add.s(2)).apply_async()
GroupResult("g", [add.delay(1)]).join(timeout=1)
app.send_task("elsewhere", (1,), {"a": 2}, priority=3)

# -- what is wrong ----------------------------------------------------------------------------------------------------

add.delay("a")  # error
add.delay()  # error
add.delay(1, 2, 3)  # error
add.delay(1, z=2)  # error
add("a")  # error
named.delay(b"a")  # error
bound.delay("x")  # error
bound.delay(None, 1)  # error
fetch.delay(1)  # error
shared.delay("a")  # error
shared_bound.delay()  # error
add.apply_async((1,), coutdown=3)  # error
add.apply_async((1,), countdown="soon")  # error
app.send_task("elsewhere", prioriti=3)  # error


@app.task(acks_late="yes")  # error
def wrong_option() -> None: ...


@app.task(max_retrys=3)  # error
def unknown_option() -> None: ...


text: str = add.delay(1).get()  # error


async def awaiting_wrongly() -> None:
    number: int = await add.adelay(1)  # error
    await add(1)  # error
    print(number)
