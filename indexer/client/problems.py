"""What a service answers when it does not answer what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.errors import IndexerError, Permanent, Transient


class Problem(IndexerError):
    """The service refused; `field` names the part of the request that is wrong, where there is one."""

    def __init__(self, status: int, title: str, detail: str, field: str | None = None) -> None:
        super().__init__(f"{detail or title} ({field})" if field else detail or title)
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field


class Unauthorized(Problem, Permanent):
    """The service wants an API key, or does not know this one."""


class Forbidden(Problem, Permanent):
    """The API key does not reach that far."""


class NoIndexer(Problem, Permanent):
    """Something else answers at this address, with a status as if all were well."""

    def __init__(self, status: int, place: str) -> None:
        super().__init__(status, "No indexer", f"{place} answers, but not as the indexer does (status {status})")


class ServiceUnreachable(Transient):
    """Nobody answers at this address just now."""


def problem_of(status: int, body: Mapping[str, Any]) -> Problem:
    kind = {401: Unauthorized, 403: Forbidden}.get(status, Problem)
    return kind(status, str(body.get("title", "")), str(body.get("detail", "")), body.get("field"))
