// The page: the feed fills the book, the book is drawn once per animation frame.

import { Book } from "./book.js";
import { Feed } from "./feed.js";
import { Directory, NeedsKey, login, openSocket } from "./service.js";
import { Table } from "./table.js";
import { EventList } from "./events.js";
import { drawConnection, drawStreams } from "./chains.js";

const book = new Book();
const directory = new Directory();
const table = new Table(document.querySelector("#balances"), directory);
const events = new EventList(document.querySelector("#events"), document.querySelector("#pause"), directory);
const filters = document.querySelector("#filters");
const feed = new Feed({ open: connect, positions: () => book.positions });

const pending = { changed: new Map(), removed: new Set(), everything: false, scheduled: false };

feed.addEventListener("state", ({ detail }) => {
  drawConnection(detail);
  if (detail.state === "live") askService();
});
feed.addEventListener("frame", ({ detail: frame }) => {
  const { changed = [], removed = [], event, restarted, returned } = book.take(frame);
  if (restarted) {
    book.forget();
    events.clear();
    feed.restart();
    return;
  }
  if (returned) feed.restart();
  for (const row of changed) pending.changed.set(row.key, row);
  for (const key of removed) pending.removed.add(key);
  if (event) events.add(event);
  if (changed.some((row) => !directory.knows(row.solver))) askService();
  schedule();
});
filters.addEventListener("input", () => { pending.everything = true; schedule(); });
filters.addEventListener("submit", (submit) => submit.preventDefault());
setInterval(askService, 15_000);
setInterval(schedule, 1000);
feed.connect();

async function connect() {
  try {
    await directory.refresh(book);
  } catch (error) {
    if (!(error instanceof NeedsKey)) throw error;
    await login(error.message);
    await directory.refresh(book);
  }
  return openSocket();
}

let asking = null;
function askService() {
  asking ??= directory.refresh(book)
    .then(({ isNew, hasLeft }) => {
      if (isNew) pending.everything = true;
      if (hasLeft) feed.restart();  // no event says so, but the snapshot leaves it out
      schedule();
    }, () => {})
    .finally(() => setTimeout(() => { asking = null; }, 1000));
}

function schedule() {
  if (pending.scheduled) return;
  pending.scheduled = true;
  requestAnimationFrame(draw);
}

function draw() {
  pending.scheduled = false;
  const wanted = Object.fromEntries(new FormData(filters));
  if (drawStreams(book.streams, directory)) offerChains();
  if (pending.everything) table.rebuild(book.rows, wanted);
  else table.update(pending.changed.values(), pending.removed, book.rows, wanted);
  events.draw(wanted);
  pending.changed.clear();
  pending.removed.clear();
  pending.everything = false;
}

function offerChains() {
  const select = filters.elements.chain;
  const chosen = select.value;
  const options = [...book.streams.values()]
    .filter(({ stream }) => stream.startsWith("chain:") || stream.startsWith("exchange:"))
    .map(({ stream }) => (stream.startsWith("chain:")
      ? new Option(directory.chainName(stream.slice(6)), stream.slice(6))
      : new Option(directory.solverName(stream), stream)));
  select.replaceChildren(new Option("all", ""), ...options);
  select.value = options.some(({ value }) => value === chosen) ? chosen : "";
}
