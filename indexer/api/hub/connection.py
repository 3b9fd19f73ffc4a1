"""One client's connection: reads its frames, keeps its subscriptions, and says why something is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import WSMessage, WSMsgType, web

from indexer.api.hub.frames import PING_FRAME, Told, close_frame, json_frame, pong_frame
from indexer.api.hub.limits import Limits
from indexer.api.hub.outbox import Outbox
from indexer.api.hub.requests import (
    Known,
    Ping,
    Subscribe,
    SubscriptionId,
    Unsubscribe,
    decoded,
    parse,
    subscription_id,
)
from indexer.api.hub.subscription import Feed, Subscription
from indexer.api.objects import GivenTwice
from indexer.api.problems import problem_json, refusal_json
from indexer.errors import Impossible, NameTaken, NotFound, Refused, Transient

log = structlog.get_logger(__name__)

PONG = json_frame({"type": "pong"})

_ENDS = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class Connection:
    """Everything that is known of one client; forgotten with it."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        outbox: Outbox,
        *,
        feed: Feed,
        known: Callable[[], Known],
        limits: Limits,
        monotonic: Callable[[], float],
        on_change: Callable[[Connection], None],
        on_dismissed: Callable[[Connection], None],
    ) -> None:
        self.outbox = outbox
        self._ws = ws
        self._feed = feed
        self._known = known
        self._limits = limits
        self._monotonic = monotonic
        self._on_change = on_change
        self._on_dismissed = on_dismissed
        self._subscriptions: dict[SubscriptionId, Subscription] = {}
        self._tasks: dict[SubscriptionId, asyncio.Task[None]] = {}
        self._snapshots = asyncio.Lock()
        self._heard_at = monotonic()
        self._pinged_at: float | None = None

    @property
    def is_subscribed(self) -> bool:
        return bool(self._subscriptions)

    def behind(self) -> Mapping[str, int] | None:
        """How far its slowest subscription is, while one catches up."""
        late = [one.cursors for one in self._subscriptions.values() if one.live_from is None]
        if not late:
            return None
        streams = {stream for cursors in late for stream in cursors}
        return {stream: min(cursors.get(stream, 0) for cursors in late) for stream in streams}

    async def listen(self) -> None:
        """Until the client goes, or was told to go and has answered that."""
        while (message := await self._ws.receive()).type not in _ENDS:
            self._heard_at = self._monotonic()
            self._pinged_at = None
            if self.outbox.closed:
                continue  # it has not read yet that it was dismissed
            self._on_message(message)
            # A client that asks without reading the answers waits for itself.
            await self.outbox.room(self._limits.unread_answers)

    def end(self) -> None:
        """Nothing more is told to it."""
        for identifier in tuple(self._subscriptions):
            self._drop(identifier)
        self.outbox.shut()

    def dismiss(self, code: int, reason: str) -> None:
        """Without waiting for what it did not read. It says goodbye too, or its socket is cut after a while."""
        self.outbox.leave(close_frame(code, reason))
        self.end()
        self._on_dismissed(self)

    def is_gone(self, now: float) -> bool:
        """Whether it has left pings unanswered for too long; asks for a sign of life in time."""
        if not self.outbox.idle:
            return False  # it has something to read first; that it does is watched elsewhere
        if self._pinged_at is not None:
            return now - self._pinged_at >= self._limits.silence_seconds * 2 / 3
        if now - self._heard_at >= self._limits.silence_seconds / 3:
            self._pinged_at = now
            self.outbox.say(PING_FRAME)
        return False

    def _on_message(self, message: WSMessage) -> None:
        match message.type:
            case WSMsgType.TEXT:
                self._on_text(message.data)
            case WSMsgType.PING:
                self.outbox.say(pong_frame(bytes(message.data)))
            case WSMsgType.BINARY:
                self._refuse(Refused("frames are JSON text, not binary"), None)
            case _:
                pass

    def _on_text(self, text: str) -> None:
        frame: Mapping[str, Any] = {}
        try:
            frame = decoded(text, self._limits)
            self._on_request(frame)
        except GivenTwice as error:
            self._refuse(error, error.rest)
        except Refused as error:
            self._refuse(error, frame)

    def _on_request(self, frame: Mapping[str, Any]) -> None:
        match parse(frame, self._known(), self._limits):
            case Subscribe() as request:
                self._subscribe(request)
            case Unsubscribe(identifier):
                if identifier not in self._subscriptions:
                    raise NotFound("there is no such subscription", "id")
                self._drop(identifier)
            case Ping():
                self.outbox.say(PONG)

    def _subscribe(self, request: Subscribe) -> None:
        if request.id in self._subscriptions:
            raise NameTaken("there is a subscription with this id; unsubscribe it first", "id")
        if len(self._subscriptions) >= self._limits.subscriptions:
            raise Impossible(f"a connection may have {self._limits.subscriptions} subscriptions", "id")
        kept = sum(len(one.request.filters) for one in self._subscriptions.values())
        if kept + len(request.filters) > self._limits.connection_filters:
            raise Impossible(f"a connection may have {self._limits.connection_filters} filters in all", "filters")
        subscription = Subscription(
            request, feed=self._feed, outbox=self.outbox, turn=self._snapshots, is_sent=self._is_sent
        )
        self._subscriptions[request.id] = subscription
        self._on_change(self)
        self.outbox.say(json_frame({"type": "subscribed", "id": request.id}))
        if subscription.is_plain:
            subscription.go_live()
        else:
            self._spawn(request.id, subscription.catch_up)

    def fall_back(self, stream: str, after: int) -> None:
        """What follows on `after` could not be told: every subscription that wants it reads it from the log."""
        for identifier, subscription in self._subscriptions.items():
            if subscription.fall_back(stream, after):
                self._spawn(identifier, subscription.resume)

    def _spawn(self, identifier: SubscriptionId, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks[identifier] = asyncio.get_running_loop().create_task(self._catch_up(identifier, work))

    async def _catch_up(self, identifier: SubscriptionId, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Transient:
            self._drop(identifier, cancel=False)
            problem = problem_json(503, "The store does not answer just now; subscribe again.")
            self.outbox.say(json_frame({"type": "error", "id": identifier, "problem": problem}))
        except Exception as error:
            # The boundary of one client: its connection ends, so that it does not wait for what will not come.
            log.exception("subscription_failed", error=type(error).__name__)
            self._drop(identifier, cancel=False)
            self.dismiss(1011, "a mistake of ours; it is in the log")
        else:
            self._tasks.pop(identifier, None)

    def _drop(self, identifier: SubscriptionId, *, cancel: bool = True) -> None:
        self._subscriptions.pop(identifier).stop()
        task = self._tasks.pop(identifier, None)
        if task is not None and cancel:
            task.cancel()
        self._on_change(self)

    def _is_sent(self, asking: Subscription, told: Told) -> bool:
        """Whether a live subscription already got this event, after `asking` began; what is older is repeated."""
        if told.seq <= asking.began.get(told.stream, 0) or self.outbox.conflations != asking.conflations_before:
            return False
        return any(
            other.live_from is not None
            and told.seq > other.live_from.get(told.stream, 0)
            and other.wanted.accepts(told)
            for other in self._subscriptions.values()
        )

    def _refuse(self, error: Refused, frame: Mapping[str, Any] | None) -> None:
        try:
            identifier = subscription_id(frame or {})
        except Refused:
            identifier = None
        self.outbox.say(json_frame({"type": "error", "id": identifier, "problem": refusal_json(error)}))
