// How each chain is doing, and whether we are connected at all.

import { accountName } from "./service.js";
import { element, foreign, setText } from "./text.js";

const WORDS = { catching_up: "catching up" };
const cards = new Map();

export function drawConnection({ state, why }) {
  const pill = document.querySelector("#connection");
  pill.dataset.state = state;
  document.body.dataset.feed = state;
  setText(pill, why ? `${state}: ${foreign(why, 80)}` : state);
}

/** Draws one card per stream; true where a stream came or went. History shows itself only while it is filled. */
export function drawStreams(all, directory) {
  const streams = new Map([...all].filter(([stream, { state }]) => !stream.startsWith("history:") || state !== "live"));
  const list = document.querySelector("#streams");
  let isNew = false;
  for (const [stream, card] of cards) {
    if (streams.has(stream)) continue;
    card.root.remove();
    cards.delete(stream);
    isNew = true;
  }
  for (const status of [...streams.values()].sort((a, b) => a.stream.localeCompare(b.stream, "en", { numeric: true }))) {
    let card = cards.get(status.stream);
    if (!card) {
      card = makeCard();
      cards.set(status.stream, card);
      list.append(card.root);
      isNew = true;
    }
    fill(card, status, directory);
  }
  return isNew;
}

function makeCard() {
  const name = element("strong", { className: "name" });
  const state = element("span", { className: "badge" });
  const block = element("span", { className: "block" });
  const about = element("span", { className: "about" });
  const trouble = element("span", { className: "trouble" });
  return { root: element("li", {}, element("div", {}, name, state), block, about, trouble), name, state, block, about, trouble };
}

function fill(card, status, directory) {
  const id = status.stream.startsWith("chain:") ? status.stream.slice(6) : null;
  setText(card.name, foreign(status.name ?? (id ? directory.chainName(id) : status.stream), 32));
  card.root.dataset.state = status.state;
  setText(card.state, WORDS[status.state] ?? status.state);
  const isAccount = status.stream.startsWith("exchange:");
  if (isAccount) setText(card.name, foreign(accountName(status.stream), 48));
  const number = isAccount ? words(status.seq) : status.block === null || status.block === undefined ? "–" : status.block.toLocaleString("en");
  if (setAndTell(card.block, number)) pulse(card.block);
  setText(card.about, isAccount ? aboutAccount(status) : about(id, status));
  setText(card.trouble, status.state === "live" ? "" : foreign(status.lastError ?? "", 120));
}

function about(id, status) {
  const lag = status.lagSeconds ?? 0;
  const words = [id === null ? status.stream : `id ${id}`];
  if (status.heads) words.push(status.heads === "ws" ? "heads by websocket" : "heads polled");
  words.push(lag >= 0.05 ? `${lag.toFixed(1)} s behind` : "up to date");
  if (status.lastResync) words.push(`read anew at block ${status.lastResync.block.toLocaleString("en")}`);
  const unread = status.unreadableTokens?.length;
  if (unread) words.push(`${unread} token${unread === 1 ? "" : "s"} cannot be read`);
  if (status.restarts) words.push(`${status.restarts} restart${status.restarts === 1 ? "" : "s"}`);
  return words.join(" · ");
}

const words = (seq) => `${(seq ?? 0).toLocaleString("en")} event${seq === 1 ? "" : "s"}`;

function aboutAccount({ heads, account }) {
  const words = ["exchange account"];
  if (heads) words.push(heads === "ws" ? "told by its stream" : "read again and again");
  const missing = Object.keys(account?.unsupported ?? {});
  if (missing.length) words.push(`without ${missing.join(", ")}`);
  if (account && account.breaker.state !== "closed") words.push(`breaker ${account.breaker.state.replace("_", " ")}`);
  return words.join(" · ");
}

function setAndTell(node, text) {
  const isChange = node.textContent !== text;
  if (isChange) node.textContent = text;
  return isChange;
}

const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

function pulse(node) {
  if (!isCalm.matches) node.animate([{ opacity: 0.45 }, { opacity: 1 }], { duration: 400, easing: "ease-out" });
}
