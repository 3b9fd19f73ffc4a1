"""Problem details (RFC 9457) for everything that goes wrong between a request and its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import orjson
import structlog
from aiohttp import web

from indexer.errors import (
    BadCredentials,
    Busy,
    ConfigError,
    GivenUp,
    Impossible,
    NameTaken,
    NotAToken,
    NotFound,
    Refused,
    StateMissing,
    StoreUnavailable,
    Throttled,
    Transient,
    WalletUnsupported,
    WrongChain,
)

log = structlog.get_logger(__name__)

PROBLEM_JSON: Final = "application/problem+json"
RETRY_SECONDS: Final = 1.0
_ACCOUNTS: Final = "/api/v1/accounts"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Kind(NamedTuple):
    """What a status means here; `slug` names it in `type`, and in the list that `/docs` shows."""

    slug: str
    title: str
    meaning: str


KINDS: Final = {
    400: Kind("malformed", "Malformed request", "A part of the request cannot be read; `field` names it."),
    401: Kind("unauthorized", "API key needed", "No API key was sent, or one that is not known."),
    403: Kind("forbidden", "Not allowed", "The key's scope does not reach that far, or a foreign web page asked."),
    404: Kind("not-found", "Not found", "There is no such path or thing, or nothing is known about it."),
    405: Kind("method-not-allowed", "Method not allowed", "The path does not take this method; see `Allow`."),
    408: Kind("too-slow", "Body too slow", "The body of the request was not here in time."),
    409: Kind("name-taken", "Name taken", "Something else goes by this name."),
    410: Kind("gone", "Events gone", "These events are not kept; read the balances again and go on from there."),
    413: Kind("too-large", "Body too large", "A request body may have 1 MiB."),
    415: Kind("not-json", "Not JSON", "A body has to be sent as application/json."),
    417: Kind("unexpected", "Expectation failed", "Only `Expect: 100-continue` can be met."),
    422: Kind("impossible", "Cannot be done", "Well-formed, but it cannot be done; `field` names the part."),
    429: Kind("busy", "One at a time", "The same is going on already; ask again when it is done."),
    500: Kind("internal", "Internal error", "A mistake of ours; it is in the log."),
    503: Kind("unavailable", "Not available now", "Try again after `Retry-After` seconds."),
}


class BadRequest(Exception):
    """A problem with a status that none of our errors stands for; raised inside the API only."""

    def __init__(
        self, status: int, detail: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = headers


def problem_json(status: int, detail: str, *, field: str | None = None, **more: Any) -> dict[str, Any]:
    """The members of a problem, in the order of the RFC."""
    kind = KINDS.get(status)
    body: dict[str, Any] = {
        "type": f"/docs#problem-{kind.slug}" if kind else "about:blank",
        "title": kind.title if kind else f"Status {status}",
        "status": status,
        "detail": detail,
    }
    if field is not None:
        body["field"] = field
    return body | more


def problem(
    status: int, detail: str, *, field: str | None = None, headers: dict[str, str] | None = None, **more: Any
) -> web.Response:
    body = problem_json(status, detail, field=field, **more)
    return web.Response(status=status, body=orjson.dumps(body), content_type=PROBLEM_JSON, headers=headers)


def refusal_json(error: Refused) -> dict[str, Any]:
    """A refusal as the problem that it is, for frames and answers alike."""
    return problem_json(_status(error), str(error), field=error.field)


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem; the one place that catches what nobody expected."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _of_http(request, error)
    except Exception as error:
        # The boundary to the outside: whatever goes wrong stays one request's trouble.
        answer = _of_ours(error, "exchange" if request.path.startswith(_ACCOUNTS) else "chain's node")
        if answer is not None:
            return answer
        if request.writer.output_size > 0:
            raise
        log.exception("request_failed", method=request.method, path=request.path, error=type(error).__name__)
        return problem(500, "Something went wrong on our side; the log has the details.")


def _of_ours(error: Exception, peer: str) -> web.Response | None:
    """Nothing for an error that nobody planned for; `peer` is who was asked for it."""
    answer = None
    match error:
        case BadRequest():
            answer = problem(error.status, error.detail, field=error.field, headers=error.headers)
        case Refused():
            answer = problem(_status(error), str(error), field=error.field)
        case ConfigError():
            detail = "The configuration cannot be applied; nothing changed."
            answer = problem(422, detail, problems=[str(one) for one in error.problems])
        case NotAToken() | StateMissing() | WrongChain() | WalletUnsupported():
            answer = problem(422, str(error))
        case BadCredentials():
            answer = problem(422, f"the exchange refuses the credentials: {error}")
        case Transient():
            answer = _unavailable(error, peer)
        case _:
            pass
    return answer


def _status(error: Refused) -> int:
    match error:
        case NotFound():
            return 404
        case NameTaken():
            return 409
        case Impossible():
            return 422
        case Busy():
            return 429
        case _:
            return 400


def _wrong_method(request: web.Request, error: web.HTTPMethodNotAllowed) -> web.Response:
    allowed = sorted({*error.allowed_methods, "OPTIONS"})
    headers = {"Allow": ", ".join(allowed)}
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=headers)
    return problem(405, f"{request.path} takes {headers['Allow']}, not {request.method}.", headers=headers)


def _of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    if error.status < 400:
        raise error
    if isinstance(error, web.HTTPMethodNotAllowed):
        return _wrong_method(request, error)
    if error.status == 404:
        return problem(404, f"There is nothing at {request.path[:200]}; /docs lists what there is.")
    if error.status == 413:
        return problem(413, "The body is larger than 1 MiB.")
    return problem(error.status, error.reason)


def _unavailable(error: Transient, peer: str) -> web.Response:
    """The text of a client's error may hold an endpoint's address, so that it is not repeated here."""
    wait = RETRY_SECONDS
    if isinstance(error, StoreUnavailable):
        detail = "The store does not answer just now."
    elif isinstance(error, GivenUp):
        detail = str(error)
        wait = error.retry_after_seconds or wait
    elif isinstance(error, Throttled):
        detail = f"The {peer} asks us to slow down."
        wait = error.retry_after_seconds or wait
    else:
        detail = f"The {peer} cannot answer this just now."
    return problem(503, detail, headers={"Retry-After": str(max(1, round(wait)))})
