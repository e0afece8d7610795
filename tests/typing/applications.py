"""What a type checker says of applications. A line that ends in ``# error`` is one in which both find an error."""

from __future__ import annotations

from typing import Any, assert_type

from umbel import Exchange, Queue, Task, Umbel, current_app, current_task

app = Umbel("typing", broker="sqlite://", backend="sqlite://", include=["a.b"], task_acks_late=False)

assert_type(current_app(), Umbel)
assert_type(current_task(), Task[..., Any] | None)
assert_type(app.conf.task_acks_late, bool)
assert_type(app.broker_url, str)
assert_type(Queue(name="q").exchange, Exchange)


class Base(Task[..., Any]):
    abstract = True
    max_retries = 5

    def on_failure(self, exc: Any, task_id: str | None, args: Any, kwargs: Any, einfo: Any) -> None:
        assert_type(self.app, Umbel)


class Counter(Task[[int], int]):
    def run(self, step: int) -> int:
        return step


counter = app.register_task(Counter())
assert_type(counter.delay(1).get(), int)


@app.task(base=Base)
def with_base(x: int) -> int:
    return x


assert_type(with_base.delay(1).get(), int)

counter.delay("a")  # error
with_base.delay("a")  # error
app.conf.task_acks_late.upper()  # error
app.task(5)  # error
app.autodiscover_tasks(5)  # error
current_app().no_such_method()  # error
