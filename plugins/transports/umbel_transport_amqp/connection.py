"""py-amqp's connection, read in large pieces and bounded in time.

py-amqp reads each frame with three calls of ``recv`` and waits for answers for ever. It is made to be subclassed
(kombu does), and lets a frame in through ``blocking_read``: that method is ours, everything behind it py-amqp's.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final

from amqp.exceptions import AMQPError, RecoverableConnectionError, UnexpectedFrame
from kombu.transport import pyamqp

__all__ = ["AmqpConnection", "Sink"]

_HEAD: Final = struct.Struct(">BHI")
_CHUNK: Final = 1 << 18

#: Takes (frame type, payload); answers whether something was complete, or ``None`` to leave the frame to py-amqp.
Sink = Callable[[int, bytes], "bool | None"]


class AmqpConnection(pyamqp.Connection):
    """A connection whose every wait ends at :attr:`deadline` (``time.monotonic()``), or after *answer_timeout_s*.

    :attr:`sinks` (channel id -> sink) sees the frames of a channel before py-amqp does; :attr:`take_run` takes as many
    frames at once as it knows, from the buffer and the place where they begin, and returns where they end.
    """

    def __init__(self, *, answer_timeout_s: float, **options: Any) -> None:
        self.deadline: float | None = None
        self.is_blocked = False
        self.sinks: dict[int, Sink] = {}
        self.take_run: Callable[[bytes, int], int] = lambda _, at: at
        self._answer_timeout_s = answer_timeout_s
        self._data = b""
        self._at = 0
        super().__init__(
            on_blocked=lambda _: self._set_blocked(True),
            on_unblocked=lambda: self._set_blocked(False),
            write_timeout=answer_timeout_s,
            **options,
        )

    def _set_blocked(self, blocked: bool) -> None:
        self.is_blocked = blocked

    # -- reading ------------------------------------------------------------------------------------------------------

    def blocking_read(self, timeout: float | None = None) -> Any:
        """Handle one frame; say whether it completed something. Raises ``TimeoutError``."""
        while True:
            handled = self._handle_next()
            if handled is not None:
                return handled
            self._fill(self._bounded(timeout))

    def handle_buffered(self) -> bool:
        """Handle the frames that came together with an answer; say whether there were any."""
        found = False
        while True:
            at = self.take_run(self._data, self._at)
            if at != self._at:
                self._at = at
                self.bytes_recv += 1  # py-amqp's counter of frames, which its heartbeat looks at
                found = True
            if self._handle_next() is None:
                return found
            found = True

    def read_ready(self) -> None:
        """Handle every frame that has come in, without waiting for more."""
        with contextlib.suppress(TimeoutError):
            while True:
                came = self._fill(0)
                self.handle_buffered()
                if came < _CHUNK and not self._is_decrypted():
                    return

    def _is_decrypted(self) -> bool:
        transport = self.transport
        pending = getattr(transport.sock, "pending", None) if transport is not None else None  # of TLS
        return bool(pending and pending())

    def _bounded(self, timeout: float | None) -> float:
        left = self._answer_timeout_s if self.deadline is None else self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the broker did not answer in time")
        return left if timeout is None else min(timeout, left)

    def _fill(self, timeout: float) -> int:
        transport = self._living()
        try:
            with transport.having_timeout(timeout) as sock:
                chunk = sock.recv(_CHUNK)
        except TimeoutError:
            raise
        except OSError:
            transport.connected = False
            raise
        if not chunk:
            transport.connected = False
            raise ConnectionResetError("the broker closed the connection")
        self._data = self._data[self._at :] + chunk if self._at < len(self._data) else chunk
        self._at = 0
        return len(chunk)

    def _living(self) -> Any:
        # py-amqp connects anew by itself when a closed connection is used, without our channels: never let it.
        if not self.connected:
            raise RecoverableConnectionError("the connection is closed")
        return self.transport

    def _handle_next(self) -> bool | None:
        data, at = self._data, self._at
        if len(data) - at < 8:
            return None
        kind, channel, size = _HEAD.unpack_from(data, at)
        start = at + 7
        end = start + size
        if len(data) <= end:
            return None
        if data[end] != 0xCE:
            raise UnexpectedFrame(f"expected the end of a frame (0xce), got {data[end]:#04x}")
        self._at = end + 1
        payload = data[start:end]
        sink = self.sinks.get(channel)
        if sink is not None:
            handled = sink(kind, payload)
            if handled is not None:
                self.bytes_recv += 1
                return handled
        assert self.on_inbound_frame is not None  # connecting has set it
        return bool(self.on_inbound_frame((kind, channel, payload)))

    # -- writing, closing ---------------------------------------------------------------------------------------------

    def send_frames(self, frames: bytes) -> None:
        """Write whole frames. Raises ``TimeoutError``, after which the connection is of no use."""
        transport = self._living()
        sock = transport.sock
        if type(sock) is socket.socket:  # not TLS: mostly the kernel takes it all at once
            try:
                frames = frames[sock.send(frames, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                pass
            except OSError:
                transport.connected = False
                raise
        if frames:
            try:
                with transport.having_timeout(self._bounded(None)):
                    transport.write(frames)
            except TimeoutError:
                transport.connected = False
                raise
        self.bytes_sent += 1

    def leave(self, timeout_s: float) -> None:
        """Close in good order, within *timeout_s*; then hang up in any case."""
        self.deadline = time.monotonic() + timeout_s
        try:
            if self.connected:
                with contextlib.suppress(AMQPError, OSError):
                    self.close()
        finally:
            self.collect()
