"""Commands and answers on an open connection, straight through hiredis and the socket.

Packing, sending and reading in redis-py's ``Connection`` cost twice what the two of them do; see
``docs/explanation/speed.md``. Where hiredis is missing its own methods are used.
"""

from __future__ import annotations

import contextlib
import math
import select
from collections.abc import Iterator, Sequence
from typing import Any, Final

from umbel_library_redis import errors

_hiredis: Any = None
#: The class of connections that need no redis-py; ``None`` without hiredis.
DIRECT: Any = None
_PUSH: Any = ()
with contextlib.suppress(ImportError):  # only slower without
    import hiredis as _hiredis

    from umbel_library_redis import direct

    DIRECT = direct.Direct
    _PUSH = _hiredis.PushNotification

__all__ = ["DIRECT", "Wire"]

_RECEIVE_BYTES: Final = 128 * 1024
_CLOSED: Final = "Connection closed by server."
#: Commands are joined up to about this size, and written: the server reads the first while the others follow.
_PIECE_BYTES: Final = 128 * 1024
#: What the reader says while an answer has not come whole. No answer is a tuple.
_MORE: Final = ()


class Wire:
    """A connection that is spoken on here alone, by one thread at a time.

    Every method raises ``RedisError`` of :mod:`umbel_library_redis.errors` (``ResponseError`` for a refusal, after which
    the connection is as good as before) and ``OSError``.
    """

    #: The class of what the server sends unasked, once the connection speaks RESP3; see :attr:`tells_pushes_apart`.
    PUSH: Any = _PUSH

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._reader: Any = None
        self._timeout_s = math.inf
        #: The socket (the driver has no public name for it); ``None`` once it is closed.
        self.socket: Any = self._take_over()

    def _take_over(self) -> Any:
        socket = self._connection._sock
        before: float | None = socket.gettimeout()
        self._timeout_s = math.inf if before is None else before
        if _hiredis is not None:
            self._reader = _hiredis.Reader(
                protocolError=errors.InvalidResponse,
                replyError=errors.as_error,
                notEnoughData=_MORE,
            )
        return socket

    @property
    def tells_pushes_apart(self) -> bool:
        """Whether :meth:`read` can read RESP3, where what is pushed and what is answered come on one connection."""
        return self._reader is not None

    def limit(self, timeout_s: float) -> None:
        """Let each answer take *timeout_s* at most from now on. A limit that is nearly the same already is left."""
        sock = self.socket
        if sock is not None and not 0.9 * timeout_s <= self._timeout_s <= timeout_s:
            sock.settimeout(timeout_s)
            self._timeout_s = timeout_s

    def call(self, *command: Any) -> Any:
        """Send one command and return its answer."""
        sock = self.socket or self._reconnect()
        if self._reader is None:
            with errors.driver_errors():
                self._connection.send_packed_command(self._connection.pack_command(*command), check_health=False)
        else:
            sock.sendall(_hiredis.pack_command(command))
        return self.read()

    def send(self, commands: Sequence[Sequence[Any]]) -> None:
        """Send *commands*, packed before any of them is sent; as many answers are to be read then."""
        sock = self.socket or self._reconnect()
        if self._reader is None:
            with errors.driver_errors():
                self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        else:
            packed = [_hiredis.pack_command(tuple(command)) for command in commands]
            for piece in _pieces(packed):
                sock.sendall(piece)

    def exchange(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Send *commands* and return their answers; one that is refused is answered by the ``ResponseError`` itself.

        Every answer is read, whatever it is: the connection is used again.
        """
        self.send(commands)
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(self.read())
            except errors.ResponseError as error:
                answers.append(error)
        return answers

    def _reconnect(self) -> Any:
        """Connect anew, as the driver does by itself: who was cut off may still give back what he holds."""
        with errors.driver_errors():
            self._connection.connect()
        self.socket = self._take_over()
        return self.socket

    def read(self) -> Any:
        """Return the next answer or pushed message."""
        reader = self._reader
        if reader is None:
            with errors.driver_errors():
                return self._connection.read_response()
        answer = reader.gets()
        while answer is _MORE:
            if self.socket is None:
                raise errors.ConnectionError(_CLOSED)
            size = self.socket.recv_into(self._buffer)
            if not size:
                raise errors.ConnectionError(_CLOSED)
            reader.feed(self._buffer, 0, size)
            answer = reader.gets()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def has_input(self) -> bool:
        """Say whether :meth:`read` has something to read at once, be it the end of the connection."""
        if self._reader is None:
            try:
                with errors.driver_errors():
                    return bool(self._connection.can_read(timeout=0))
            except errors.ConnectionError:
                return True
        if self._reader.has_data():
            return True
        if self.socket is None:
            raise errors.ConnectionError(_CLOSED)
        if getattr(self.socket, "pending", int)():  # decrypted already
            return True
        waiting = select.poll()
        waiting.register(self.socket, select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        """Disconnect. May be called twice."""
        self.socket = None
        self._connection.disconnect()


def _pieces(packed: list[bytes]) -> Iterator[bytes]:
    """Yield *packed* commands, in few pieces."""
    gathered: list[bytes] = []
    size = 0
    for command in packed:
        gathered.append(command)
        size += len(command)
        if size >= _PIECE_BYTES:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    if gathered:
        yield b"".join(gathered)
