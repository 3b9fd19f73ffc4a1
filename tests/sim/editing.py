"""Who edits the configuration file of a running service, and has it applied."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import aiohttp

from indexer.config import Settings, load
from indexer.domain.chain import Holding
from tests.sim.clients import URL, Present, SimConnector
from tests.sim.draft import MISTAKES, NOBODY, Draft
from tests.sim.faults import Faults
from tests.sim.owners import Process
from tests.sim.service import Life
from tests.sim.world import NEWCOMER, SILENT, TOKENS, WALLETS

_RELOAD: Final = f"{URL}/api/v1/reload"
_PATIENCE: Final = aiohttp.ClientTimeout(total=30)
_OK, _MISTAKEN = 200, 422
_TRIES: Final = 60


class Editor:
    """One edit at a time, by request or by signal; what could not be applied yet is tried again.

    `forget` hears whose history may have a gap, `keeps_urls` says that none may be left out.
    """

    def __init__(
        self, draft: Draft, random: Random, faults: Callable[[], Faults], present: Present, *, keeps_urls: bool
    ) -> None:
        self.draft = draft
        self.edits = self.refused = 0
        self.longest_interval: int = draft.chain["native_interval_blocks"]
        self.faults: list[str] = []
        self.forget: Callable[[Callable[[Holding], bool]], None] = _nobody
        self._urls, self._ws_urls = draft.rpc_urls, draft.ws_urls
        self._keeps_urls = keeps_urls
        self._random = random
        self._rates = faults
        self._present = present
        self._process = Process()
        self._work: asyncio.Task[None] | None = None
        self._is_due = False
        """Whether the file that was saved is not in force yet."""
        self._folder = tempfile.TemporaryDirectory(prefix="story-")
        self._path = Path(self._folder.name) / "chains.toml"

    @property
    def is_idle(self) -> bool:
        return not self._is_due and not self._is_at_work

    @property
    def _is_at_work(self) -> bool:
        return self._work is not None and not self._work.done()

    def settings(self) -> Settings:
        """What the next life reads, when it starts; a mistake would not let it, and was mended."""
        self._save(self.draft.text())
        self._is_due = False
        return load(self._path, {})

    def happen(self) -> None:
        """One step of the story."""
        if self._is_at_work:
            return
        if self._random.random() < self._rates().reload:
            self.edits += 1
            if self._random.random() < 0.2:
                self._work = self._process.spawn(self._err(self._random.choice(MISTAKES)))
                return
            works = (self._token, self._solver, self._setting, self._setting, self._endpoints, self._chain)
            self.draft = self._random.choice(works)(self.draft)
            self.longest_interval = max(self.longest_interval, self.draft.chain["native_interval_blocks"])
            self._is_due = True
        if self._is_due:
            self._work = self._process.spawn(self._apply())

    async def settle(self) -> None:
        """The chain is followed again, and the file is in force."""
        if self._work is not None:
            await asyncio.wait((self._work,))
            self._work.result()
        if not self.draft.is_followed:
            self.draft, self._is_due = replace(self.draft, is_followed=True), True
        for _ in range(_TRIES):
            if not self._is_due:
                return
            await self._apply()
            await asyncio.sleep(1)
        self.faults.append("a file without a mistake is not applied")

    def close(self) -> None:
        self._folder.cleanup()

    # --- what is edited ----------------------------------------------------------------------------------------------

    def _token(self, draft: Draft) -> Draft:
        token = self._random.choice((TOKENS[1], SILENT))
        self.forget(lambda holding: holding.token == token)
        is_there = token in draft.tokens
        tokens = tuple(each for each in draft.tokens if each != token) if is_there else (*draft.tokens, token)
        return replace(draft, tokens=tokens)

    def _solver(self, draft: Draft) -> Draft:
        """One comes or goes, or the first is called otherwise, which is no change of what is watched."""
        name, wallet = self._random.choice((("s2", WALLETS[2]), ("fresh", NEWCOMER), ("first", WALLETS[0])))
        if wallet == WALLETS[0]:
            others = {key: each for key, each in draft.solvers.items() if each != wallet}
            return replace(draft, solvers={**others, name if name not in draft.solvers else "s0": wallet})
        self.forget(lambda holding: holding.solver == wallet)
        others = {key: each for key, each in draft.solvers.items() if key != name}
        return replace(draft, solvers=others if name in draft.solvers else {**others, name: wallet})

    def _setting(self, draft: Draft) -> Draft:
        key, values = self._random.choice(
            (
                ("native_symbol", ("ETH", "POL", "XYZ")),
                ("native_symbol", ("ETH", "POL", "XYZ")),
                ("reorg_window_blocks", (8, 16, 256)),
                ("native_interval_blocks", (1, 3)),
                ("sync_interval_seconds", (20, 60)),
                ("start_block", ("latest", 0, 5)),
            )
        )
        return replace(draft, chain={**draft.chain, key: self._random.choice(values)})

    def _endpoints(self, draft: Draft) -> Draft:
        """In another order; some left out; or one that is not there."""
        urls = self._random.sample(self._urls, len(self._urls))
        if not self._keeps_urls:
            urls = urls[: self._random.randint(1, len(urls))]
        if self._random.random() < 0.3:
            urls.insert(self._random.randint(0, len(urls)), NOBODY)
        ws_urls = self._random.sample(self._ws_urls, self._random.randint(0, len(self._ws_urls)))
        return replace(draft, rpc_urls=tuple(urls), ws_urls=tuple(ws_urls))

    def _chain(self, draft: Draft) -> Draft:
        """Ours goes, comes back, or is called otherwise; another one comes or goes. There is always one."""
        if not draft.is_followed:
            return replace(draft, is_followed=True)
        if self._random.random() < 0.4:
            return replace(draft, is_followed=False, has_other=True)
        if self._random.random() < 0.5:
            return replace(draft, name="sim" if draft.name != "sim" else "main")
        return replace(draft, has_other=not draft.has_other)

    # --- how it is applied -------------------------------------------------------------------------------------------

    async def _apply(self) -> None:
        self._save(self.draft.text())
        life = self._present()
        if life is None or not life.is_up:
            return  # the next one reads it
        if self._random.random() < 0.5:
            await self._signal(life)
            return
        status = await self._posted()
        if status == _OK:
            self._is_due = False
        elif status == _MISTAKEN:
            self.faults.append(f"refused, though nothing is wrong with it: {self.draft}")

    async def _signal(self, life: Life) -> None:
        work = life.process.spawn(life.control.reload_quietly())
        await asyncio.wait((work,))
        if work.cancelled():
            return  # killed while it was at it
        if work.result() and not life.report.service()["config"]["problems"]:
            self._is_due = False

    async def _err(self, mistake: str) -> None:
        """It changes nothing."""
        life = self._present()
        if life is None or not life.is_up:
            return
        before = life.control.settings
        self._save(f"{self.draft.text()}\n{mistake}")
        status = await self._posted()
        self._save(self.draft.text())
        if status == _MISTAKEN:
            self.refused += 1
        if self._present() is not life:
            return  # the one that answered had read the file without it
        if status == _OK or life.control.settings is not before:
            self.faults.append(f"applied, though it is wrong: {mistake}")

    async def _posted(self) -> int | None:
        connector = SimConnector(self._process, self._present)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=_PATIENCE) as session,
                session.post(_RELOAD) as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def _save(self, text: str) -> None:
        self._path.write_text(text)


def _nobody(_concerned: Callable[[Holding], bool]) -> None: ...
