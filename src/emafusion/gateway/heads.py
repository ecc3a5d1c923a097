"""A bound on a request's line and headers, which httptools' parser does not have.

Imported only where httptools is installed; uvicorn's other parser, h11, bounds them itself.
"""

from __future__ import annotations

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emafusion.gateway.faults import Fault


def bounded(max_bytes: int) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP protocol, refusing heads that grow beyond about `max_bytes`.

    The bytes received together with a head's beginning do not count: they may be a body's.
    """

    class Bounded(HttpToolsProtocol):
        _in_head = False
        _received = 0

        def on_message_begin(self) -> None:
            self._in_head = True
            self._received = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            continued = self._in_head
            super().data_received(data)
            if continued and self._in_head:
                self._received += len(data)
                if self._received > max_bytes and not self.transport.is_closing():
                    self._refuse(431, f"the request's headers are longer than {max_bytes} bytes")

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, msg)

        def _refuse(self, status: int, message: str) -> None:
            response = Fault(status=status, message=message).response()
            reason = HTTPStatus(status).phrase.encode()
            lines = [b"HTTP/1.1 %d %s\r\nconnection: close" % (status, reason)]
            lines += [name + b": " + value for name, value in response.raw_headers]
            self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body))
            self.transport.close()

    return Bounded
