"""One HTTP endpoint: a batch of calls goes out, its replies come back in the order asked, or one of our errors.

web3's provider is the transport, with what costs time or hides facts replaced: its JSON, its session (which takes a
thread for a lock and a new connection for every request), its retries, and its trust in the order of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson
from eth_typing import URI
from web3.providers.rpc.async_rpc import AsyncHTTPProvider
from web3.types import RPCEndpoint, RPCRequest, RPCResponse

from indexer.clients.evm.asking.calls import Call, Reply, TooMuch
from indexer.clients.evm.asking.courier import LONGEST_ANSWER, Courier, HttpCourier
from indexer.clients.evm.asking.wording import LONGEST_WAIT, TimedOut, Unsupported, refusal
from indexer.errors import BadAnswer, IndexerError, NodeUnreachable, ResponseTooLarge, Throttled

_TOO_LARGE: Final = 413


class Transport(AsyncHTTPProvider):
    """web3's HTTP provider, strict and without retries of its own; whoever calls decides on those."""

    def __init__(self, url: str, name: str, courier: Courier | None = None) -> None:
        super().__init__(URI(url), exception_retry_configuration=None)
        self._url = url
        self._name = name
        self._courier = HttpCourier(url) if courier is None else courier

    def __str__(self) -> str:
        return self._name

    async def exchange(self, calls: Sequence[Call], timeout_seconds: float) -> list[Reply]:
        """One round trip."""
        asked = [self.form_request(RPCEndpoint(call.method), call.params) for call in calls]
        # A batch of one is sent bare: endpoints without batches still work once they are asked singly.
        body = orjson.dumps(asked if len(asked) > 1 else asked[0])
        status, headers, raw = await self._courier.post(body, timeout_seconds)
        if len(raw) > LONGEST_ANSWER:
            raise TooMuch(f"an answer of more than {LONGEST_ANSWER >> 20} MB", "batch", len(asked))
        try:
            answer = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise _without_json(status, headers, raw, len(body)) from error
        by_id = dict(zip((request["id"] for request in asked), calls, strict=True))
        if status >= 300 and not self._is_of_calls(status, headers, answer, by_id):
            raise self._refused(status, headers, answer, calls, len(body))
        if self._refuses_batch(answer):
            raise self._whole_batch(headers, answer[0], calls)
        if isinstance(answer, dict) and len(asked) == 1:
            answer = [answer]
        if not isinstance(answer, list):
            raise self._whole_batch(headers, answer, calls)
        return self._matched(by_id, answer)

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """For those who put web3 itself on top; a reply's error is raised."""
        (reply,) = await self.exchange([Call(method, params)], timeout_seconds=10)
        return {"jsonrpc": "2.0", "id": 0, "result": reply.get()}

    async def make_batch_request(
        self, batch_requests: list[tuple[RPCEndpoint, Any]]
    ) -> list[RPCResponse] | RPCResponse:
        replies = await self.exchange([Call(*request) for request in batch_requests], timeout_seconds=10)
        return [{"jsonrpc": "2.0", "id": index, "result": reply.get()} for index, reply in enumerate(replies)]

    @staticmethod
    def encode_rpc_dict(rpc_dict: RPCRequest) -> bytes:
        return orjson.dumps(rpc_dict)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        response: RPCResponse = orjson.loads(raw_response)
        return response

    async def disconnect(self) -> None:
        await self._courier.close()

    def _matched(self, asked: Mapping[Any, Call], answer: Sequence[Any]) -> list[Reply]:
        """Replies by id: providers answer in any order, and a missing one shifts nothing."""
        by_id: dict[Any, Reply] = {}
        for item in answer:
            if not isinstance(item, Mapping):
                raise BadAnswer("a batch answer that holds something else than objects")
            number = item.get("id")
            if number is None and item.get("error") is not None:
                if len(asked) == 1:
                    return [self._reply(item, *asked.values())]
                raise refusal(item["error"], self._url)
            if isinstance(number, list | dict):
                raise BadAnswer("an answer to nothing that can be asked")
            if number in by_id:
                raise BadAnswer("two answers to one call")
            by_id[number] = self._reply(item, asked.get(number))
        missing = len(asked.keys() - by_id.keys())
        if missing or len(by_id) != len(asked):
            raise BadAnswer(f"{len(asked)} calls asked, {missing} of them not answered, {len(by_id)} answers")
        return [by_id[number] for number in asked]

    def _reply(self, item: Mapping[str, Any], call: Call | None) -> Reply:
        if item.get("error") is not None:
            return Reply(error=refusal(item["error"], self._url, of_range=call is not None and call.of_range))
        if "result" not in item:
            return Reply(error=BadAnswer("an answer with neither result nor error"))
        return Reply(result=item["result"])

    def _is_of_calls(self, status: int, headers: Mapping[str, str], answer: Any, asked: Mapping[Any, Call]) -> bool:
        """Whether each call is answered, one at least by a result or an error of its own, for all the HTTP error."""
        if isinstance(_by_status(status, headers), Throttled) or self._refuses_batch(answer):
            return False
        items = [answer] if isinstance(answer, dict) else answer
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            return False
        ids = sorted(str(item.get("id")) for item in items)
        is_alone = len(asked) == 1 and ids == ["None"]
        if not is_alone and ids != sorted(map(str, asked)):
            return False
        of_range = any(call.of_range for call in asked.values())
        errors = [refusal(item["error"], self._url, of_range=of_range) for item in items if item.get("error")]
        if status == _TOO_LARGE:  # of the range, at some, in their words
            return of_range and any(isinstance(error, ResponseTooLarge) for error in errors)
        return any(item.get("result") is not None for item in items) or any(map(_is_of_call, errors))

    def _refuses_batch(self, answer: Any) -> bool:
        """Told to each of its calls: that they came together."""
        if not isinstance(answer, list) or len(answer) < 2:
            return False
        if not all(isinstance(item, dict) and _names_batch(item.get("error")) for item in answer):
            return False  # as a rule the first one shows it
        return not any(isinstance(refusal(item["error"], self._url), Throttled) for item in answer)

    def _refused(
        self, status: int, headers: Mapping[str, str], answer: Any, calls: Sequence[Call], asked_bytes: int
    ) -> IndexerError:
        """JSON under an HTTP error: the status tells of throttling best, the text of everything else."""
        by_status = _by_status(status, headers) or NodeUnreachable(f"HTTP {status}")
        first = next(iter(answer), None) if isinstance(answer, list) else answer
        problem = self._whole_batch(headers, first, calls)
        is_of_range = any(call.of_range for call in calls) and isinstance(problem, ResponseTooLarge)
        if status == _TOO_LARGE and not is_of_range and "batch" not in str(problem).lower():
            return _too_many_bytes(asked_bytes)
        if isinstance(by_status, Throttled):
            told = problem.retry_after_seconds if isinstance(problem, Throttled) else None
            return Throttled(str(by_status), by_status.retry_after_seconds or told)
        return by_status if isinstance(problem, BadAnswer) else problem

    def _whole_batch(self, headers: Mapping[str, str], answer: Any, calls: Sequence[Call]) -> IndexerError:
        """One object for a whole batch is a refusal of all of it."""
        if not isinstance(answer, Mapping) or answer.get("error") is None:
            return BadAnswer("one answer to all that was asked")
        problem = refusal(answer["error"], self._url, of_range=len(calls) == 1 and calls[0].of_range)
        if isinstance(problem, Throttled):
            return Throttled(str(problem), _retry_after(headers) or problem.retry_after_seconds)
        if len(calls) > 1 and (isinstance(problem, ResponseTooLarge | Unsupported) or "batch" in str(problem).lower()):
            return TooMuch(str(problem), "batch", len(calls))
        return problem


def _without_json(status: int, headers: Mapping[str, str], raw: bytes, asked_bytes: int) -> IndexerError:
    if status == _TOO_LARGE:
        return _too_many_bytes(asked_bytes)
    by_status = _by_status(status, headers)
    if by_status is not None:
        return by_status
    if not raw:
        return BadAnswer("an empty body")
    return BadAnswer("a web page instead of JSON" if raw.lstrip()[:1] == b"<" else "not JSON")


def _names_batch(error: Any) -> bool:
    return isinstance(error, dict) and "batch" in str(error.get("message")).lower()


def _is_of_call(error: IndexerError) -> bool:
    """Not of the endpoint; that its time was up may be of either."""
    return isinstance(error, TimedOut) or not isinstance(error, BadAnswer | NodeUnreachable | Throttled)


def _too_many_bytes(asked: int) -> TooMuch:
    return TooMuch("HTTP 413, the request is too large", "bytes", asked)


def _by_status(status: int, headers: Mapping[str, str]) -> IndexerError | None:
    wait = _retry_after(headers)
    if status == 429 or (status == 503 and wait is not None):
        return Throttled(f"HTTP {status}", wait)
    return None if status < 300 else NodeUnreachable(f"HTTP {status}")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, bounded. A date is set against the other side's own clock where it tells it, ours may be wrong."""
    text = headers.get("Retry-After", "").strip()
    if text.replace(".", "", 1).isdecimal():
        return min(float(text), LONGEST_WAIT)
    then = _moment(text)
    if then is None:
        return None
    now = _moment(headers.get("Date", "")) or datetime.now(UTC)
    return min(max((then - now).total_seconds(), 0.0), LONGEST_WAIT)


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for an offset that no timezone has
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
