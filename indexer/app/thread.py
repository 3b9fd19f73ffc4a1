"""The whole service in a thread of its own, for programs without an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType

from indexer.app.library import Indexer
from indexer.app.sync import SyncFace
from indexer.config import Settings


class SyncIndexer:
    """`with SyncIndexer(settings) as indexer:` runs the whole service in a thread, for programs without a loop."""

    def __init__(self, settings: Settings, *, serve: bool = False) -> None:
        self._settings = settings
        self._serve = serve
        self._stop: Callable[[], object] = lambda: None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SyncFace:
        started: Future[SyncFace] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="indexer", daemon=True)
        self._thread.start()
        return started.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, started: Future[SyncFace]) -> None:
        try:
            asyncio.run(self._live(started))
        except BaseException as error:
            # The boundary of the thread: whoever started it is told, as long as it still waits for that.
            if started.done():
                raise
            started.set_exception(error)

    async def _live(self, started: Future[SyncFace]) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stopped.set)

        async with Indexer(self._settings, serve=self._serve) as indexer:
            self._stop = stop
            started.set_result(indexer.sync())
            ends = [asyncio.ensure_future(end) for end in (stopped.wait(), indexer.finished())]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
