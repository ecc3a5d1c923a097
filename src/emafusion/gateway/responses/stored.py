"""``GET`` and ``DELETE /v1/responses/{id}``: responses that are kept, shown and forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emafusion.gateway.exchange import caller_of
from emafusion.gateway.faults import Fault
from emafusion.gateway.replies import encode
from emafusion.gateway.responses.shelf import Shelf


def stored(shelf: Shelf) -> Callable[[HttpRequest], Awaitable[Response]]:
    """The endpoint that shows or forgets a kept response of the caller's tenant."""

    async def answer(http: HttpRequest) -> Response:
        tenant = caller_of(http.scope, "chat").tenant
        name = http.path_params["id"]
        if http.query_params.get("stream", "false").lower() not in ("false", "0"):
            message = "a response that is kept is shown whole; leave 'stream' out"
            return Fault(status=400, message=message, param="stream").response()
        body: object
        if http.method == "DELETE":
            found = await shelf.delete(tenant, name)
            body = {"id": name, "object": "response", "deleted": True}
        else:
            kept = await shelf.get(tenant, name)
            found = kept is not None
            body = None if kept is None else kept.body
        if not found:
            message = f"there is no response {name[:200]!r}, or not any more"
            return Fault(status=404, message=message, code="response_not_found").response()
        return Response(encode(body), media_type="application/json")

    return answer
