"""What bad input gets, over SQLite and prefork, as a user meets it: a clear message, nothing else harmed, nothing lost.

Each kind of bad input of the second issue has its tests here, or where this table says:

====================================== ===============================================================================
garbage bytes on a queue               below; twelve kinds of them in ``tests/integration/worker/test_refusals.py``;
                                       garbage in a store's own rows and files in ``tests/unit/plugins/transports``
a huge message                         below; ``tests/unit/core/protocol`` (``max_bytes``); frames of any size in
                                       the pools' suite
unknown names                          below; going back for a newer worker in ``test_refusals.py``
content types not accepted             below; ``test_refusals.py``
arguments that cannot be encoded       below; results that cannot in ``tests/integration/worker/test_running.py``
a task that exits its process          ``test_bad_tasks.py``; ``sys.exit()`` and limits in
segfaults                              ``tests/integration/worker/test_program.py``, every kind of death in the pools'
                                       suite (``umbel.testing``)
leaks                                  ``test_bad_tasks.py``
blocks for ever                        ``test_bad_tasks.py``
prints binary to stdout                ``test_program.py``; pieces of lines in ``test_bad_tasks.py``
a full disk, a read-only or corrupt    ``test_bad_store.py``; the store alone in
file, a locked database                ``tests/unit/plugins/transports/sqlite/test_sqlite_trouble.py``
a missing module in ``-A``             ``test_bad_start.py``
two workers of one name                ``test_bad_start.py``
a stale, a live and a broken pid file  ``test_bad_start.py``; ``test_program.py``
====================================== ===============================================================================
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from umbel.exceptions import ContentDisallowed, DecodeError, EncodeError, NotRegistered

EMPTY = b'[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'


def test_garbage_between_good_messages_is_parked_and_listed(project: Any, until: Any) -> None:
    """[B971] [B972] [B973] one claim holds both; each good one runs once, each bad one is parked with its words."""
    before = [project.send("add", number, 0) for number in range(20)]
    project.publish(os.urandom(500), {})
    project.publish(b"\x80\x04\x95garbage", {"task": "proj.add", "id": "garbled-1"})
    project.publish(b"[1, 2, 3, 4, 5]", {"task": "proj.add", "id": "misshapen-1"})
    after = [project.send("add", number, 0) for number in range(20)]
    with project.start("-c", "2") as node:
        assert [result.get(timeout=20) for result in before + after] == list(range(20)) * 2
        until(lambda: project.count("celery.parked") == 3, "parking")
        assert project.count() == 0
        with pytest.raises(DecodeError, match="cannot decode 10 bytes as application/json"):
            project.app.AsyncResult("garbled-1").get(timeout=10)
        listed = project.umbel("parked", "list")
        assert "(no id)  ?  celery  undecodable" in listed
        assert "garbled-1  proj.add  celery  undecodable" in listed
        assert "misshapen-1  proj.add  celery  invalid" in listed
        shown = project.umbel("parked", "show", "misshapen")
        assert "the body of a task message is [args, kwargs, embed], got [1, 2, 3, 4, 5]" in shown
        node.wait_for(r"ERROR/MainProcess\] parked message \?\[\?\] of queue celery \(undecodable\)")
        assert "Traceback" not in node.text


def test_a_message_of_many_megabytes_runs(project: Any) -> None:
    """Both ways through queue, pipe and store; short tasks beside it go on."""
    project.write("@app.task\ndef echo(text):\n    return text\n")
    text = "\u00e4" * (8 << 20)
    with project.start("-c", "2") as node:
        large = project.send("echo", text)
        assert project.works()
        assert large.get(timeout=30) == text
        assert len(node.text) < 20_000, "neither log nor banner shows it whole"


def test_a_message_beyond_the_limit_is_parked(project: Any) -> None:
    """It is never decoded, and its caller hears of it."""
    project.write("app.conf.task_max_body_bytes = 100_000\n")
    with project.start("-c", "1"):
        with pytest.raises(DecodeError, match=r"and 100000 are the most that is decoded \(task_max_body_bytes\)"):
            project.send("add", "x" * 200_000, "y").get(timeout=20)
        assert "proj.add  celery  undecodable" in project.umbel("parked", "list")
        assert project.works()


def test_an_unknown_name_is_parked_and_runs_once_it_is_known(project: Any) -> None:
    """[B1114] nothing is lost: after a deployment the parked message is put back."""
    project.write("app.conf.task_unknown_retry_s = 0\n")
    result = project.send("later", 20)
    with project.start("-c", "1") as node:
        with pytest.raises(NotRegistered, match=r"proj\.later"):
            result.get(timeout=20)
        node.wait_for(r"parked message proj\.later\[[0-9a-f-]+\] of queue celery \(unknown-task\)")
        assert project.works()
    project.write("@app.task\ndef later(number):\n    print('ran with', number)\n")
    with project.start("-c", "1") as node:
        assert project.umbel("parked", "requeue", result.id[:12]) == "Requeued 1 message."
        node.wait_for(r"umbel-pool-0\] ran with 20\n")
        assert project.umbel("parked", "list") == "Nothing is parked."


def test_pickle_is_refused_unread_and_runs_where_it_is_accepted(project: Any) -> None:
    """The payload of an attacker is never loaded; one that is wanted is not lost."""
    marker = project.directory / "owned"
    project.publish(
        f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode(),
        {"task": "proj.add", "id": "evil-1"},
        content_type="application/x-python-serialize",
        content_encoding="binary",
    )
    wanted = project.send("add", (1,), (2,), serializer="pickle")
    with project.start("-c", "1"):
        for each in (project.app.AsyncResult("evil-1"), wanted):
            with pytest.raises(ContentDisallowed, match="is not accepted here; accept_content names application/json"):
                each.get(timeout=20)
        assert project.works()
    assert not marker.exists()
    listed = project.umbel("parked", "list")
    assert "evil-1  proj.add  celery  refused-content" in listed
    assert project.umbel("parked", "drop", "-f", "evil-1") == "Dropped 1 message."
    project.write("app.conf.accept_content = ['json', 'pickle']\n")
    assert project.umbel("parked", "requeue", "--all") == "Requeued 1 message."
    with project.start("-c", "1") as node:
        node.wait_for(r"Task proj\.add\[\S+\] succeeded in \S+: \(1, 2\)")


class Odd:
    """Something that no serializer takes, and that does not even say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __reduce__(self) -> str:
        raise RuntimeError("no pickle")


@pytest.mark.parametrize(
    ("value", "options", "words"),
    [
        (object(), {}, r"cannot encode as json: object is not JSON: give its class a __json__\(\) method"),
        (Odd(), {}, "cannot encode as json"),
        (Odd(), {"serializer": "pickle"}, "cannot encode as pickle: .*no pickle"),
    ],
    ids=["object", "odd", "pickle"],
)
def test_arguments_that_cannot_be_encoded_are_refused_at_the_call(
    project: Any, value: Any, options: dict[str, Any], words: str
) -> None:
    """Nothing of it is sent; those of the same call in bulk are not either."""
    with pytest.raises(EncodeError, match=words):
        project.send("add", value, 1, **options)
    with pytest.raises(EncodeError, match=words):
        project.app.send_tasks(
            [
                project.app.signature("proj.add", args=(1, 1), options=options),
                project.app.signature("proj.add", args=(value, 1), options=options),
            ]
        )
    assert project.count() == 0


def test_headers_of_other_programs_do_no_harm(project: Any, until: Any) -> None:
    """Headers of wrong types and sizes, beside those that are right."""
    strange = {"lang": 7, "retries": "many", "origin": ["x"], "x-own": "y" * 100_000, "argsrepr": 12}
    project.publish(EMPTY, {"task": "proj.add", "id": "strange-1", **strange})
    project.publish(json.dumps([[1, 2], {}, {}]).encode(), {"task": "proj.add", "id": "fine-1", "lang": 7})
    with project.start("-c", "1"):
        assert project.app.AsyncResult("fine-1").get(timeout=20) == 3
        until(lambda: project.app.AsyncResult("strange-1").ready(), "an end")
        assert project.app.AsyncResult("strange-1").state == "FAILURE"
        assert project.works()
