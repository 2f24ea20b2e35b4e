"""The server's figures, as Prometheus reads them."""

from fastapi import Response

from tunesmith.service.call import Reader
from tunesmith.service.strict import Router

__all__ = ["router"]

router = Router(tags=["health"])

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", response_class=Response)
def metrics(call: Reader) -> Response:
    """Give the server's figures to Prometheus; a token of one project sees that project's studies only."""
    everything = call.caller.everywhere or not call.caller.token
    text = call.parts.figures.text(
        call.parts.storage, call.parts.shelves, None if everything else call.caller.project
    )
    return Response(text, media_type=_TYPE)
