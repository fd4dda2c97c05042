"""
From what a user asks for to a L{Request<txcoap.message.Request>}.
"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.web.iweb import IBodyProducer

from .codes import Code
from .formats import JSON, TEXT
from .message import Request
from .options import Options
from .uri import URI

__all__ = ["makeRequest"]


def makeRequest(
    method: Code | str | int,
    target: URI,
    payload: Any,
    params: Mapping[str, object] | Iterable[tuple[str, object]],
    json: Any,
    options: Options,
    values: dict[str, Any],
) -> tuple[Request, Any]:
    """
    A request; see L{Agent.request<txcoap.client.Agent.request>} for the parameters.

    @return: The request, and the C{IBodyProducer} of its body, or None if that is in the request.
    @raise ValueError: for a value that the request cannot have; C{TypeError} likewise.
    """
    producer = None
    if json is not None:
        if not isinstance(payload, bytes) or payload:
            raise TypeError("give a body as payload or as json, not both")
        payload = jsonlib.dumps(json).encode("utf-8")
        values = {"contentFormat": JSON, **values}
    elif isinstance(payload, str):
        payload = payload.encode("utf-8")
        values = {"contentFormat": TEXT, **values}
    elif IBodyProducer.providedBy(payload):
        payload, producer = b"", payload
    elif not isinstance(payload, bytes):
        raise TypeError(f"a body is bytes, str or an IBodyProducer; got {payload!r}")
    if params:
        pairs = params.items() if isinstance(params, Mapping) else params
        options = options.adding(*Options(uriQuery=[f"{name}={value}" for name, value in pairs]).pairs)
    own = target.toOptions()
    asked = own.adding(*options.pairs) if options else own
    code = method if isinstance(method, Code) else Code(method)
    return Request(code, payload, asked, **values), producer
