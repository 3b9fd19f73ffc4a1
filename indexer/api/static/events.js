// What happened, newest first, each event as one sentence.

import { compare, line, scaled } from "./amounts.js";
import { clock, element, foreign, short } from "./text.js";

const MOST_EVENTS = 150;

/** The list of events; while paused it keeps what comes and shows it after. */
export class EventList {
  #list; #directory; #button;
  #waiting = [];
  #ids = new Set();

  constructor(list, button, directory) {
    this.#list = list;
    this.#button = button;
    this.#directory = directory;
    button.addEventListener("click", () => {
      const isPaused = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(isPaused));
      button.textContent = isPaused ? "go on" : "pause";
    });
  }

  /** Delivery is at least once: an id seen before is not news. */
  add(event) {
    if (event.id !== undefined && event.seq !== undefined) {
      if (this.#ids.has(event.id)) return;
      this.#ids.add(event.id);
      if (this.#ids.size > 5000) this.#ids = new Set([...this.#ids].slice(-2500));
    }
    this.#waiting.push(event);
    if (this.#waiting.length > MOST_EVENTS) this.#waiting.shift();
  }

  clear() {
    this.#waiting = [];
    this.#ids.clear();
    this.#list.replaceChildren();
  }

  draw({ chain = "" }) {
    if (this.#button.getAttribute("aria-pressed") === "true") return;
    for (const event of this.#waiting) {
      const where = event.data?.exchange === undefined ? event.data?.chainId : event.stream;
      if (chain !== "" && where !== undefined && String(where) !== chain) continue;
      this.#list.prepend(this.#entry(event));
    }
    this.#waiting = [];
    while (this.#list.childElementCount > MOST_EVENTS) this.#list.lastElementChild.remove();
  }

  #entry(event) {
    const { kind, words } = this.#tell(event);
    const time = element("time", { text: clock(event.time ?? Date.now()) });
    return element("li", { className: kind }, time, element("p", {}, ...words));
  }

  #tell(event) {
    const { type, data } = event;
    switch (type) {
      case "balance.updated": return data.exchange === undefined ? this.#updated(data) : heldUpdated(data);
      case "balance.changed": return heldChanged(data);
      case "position.updated": return position(data);
      case "funding_fee": return {
        kind: data.amount.startsWith("-") ? "down" : "up",
        words: [foreign(accountOf(data), 48), " funding ", strong(line(data.amount, true)), " ", foreign(data.asset), quiet(foreign(data.symbol, 40))],
      };
      case "account.alert": return {
        kind: data.cleared || data.severity === "info" ? "note" : "warning",
        words: [foreign(accountOf(data), 48), `: ${data.kind.replaceAll("_", " ")}${data.cleared ? " is over" : ""}`,
          quiet(foreign([data.wallet, data.asset, data.detail].filter(Boolean).join(" · "), 160))],
      };
      case "balance.reverted": return {
        kind: "warning",
        words: [...this.#who(data), " back to ", strong(amountOf(data)), quiet(`reorg on ${this.#chain(data)}, block ${data.blockNumber}`)],
      };
      case "chain.finalized": return { kind: "note", words: [`block ${data.blockNumber} is ${data.level}`, quiet(this.#chain(data))] };
      case "stream.stale": return { kind: "warning", words: [`${this.#chain(data)} is stale`, quiet(foreign(data.reason ?? "", 160))] };
      case "stream.live": return { kind: "note", words: [`${this.#chain(data)} is live again`, quiet(foreign(data.reason ?? "", 160))] };
      case "stream.resync": return { kind: "warning", words: [`${this.#chain(data)} was read anew`, quiet(foreign(data.reason ?? "", 160))] };
      case "gap": return { kind: "warning", words: [`events of ${event.stream} were missed; balances are read anew`] };
      case "conflated": return { kind: "warning", words: [`${event.dropped} events left out: this page was too slow`] };
      case "error": return { kind: "warning", words: [foreign(event.problem?.detail ?? event.problem?.title ?? "error", 160)] };
      default: return { kind: "note", words: [foreign(type, 40), quiet(event.stream ?? "")] };
    }
  }

  #updated(data) {
    const change = scaled(data.changeAmount, data.decimals) ?? data.changeAmount;
    const told = change === null ? ["starts with ", strong(amountOf(data))] : [strong(line(change, true)), " → ", amountOf(data)];
    const kind = change === null ? "note" : change.startsWith("-") ? "down" : "up";
    return { kind, words: [...this.#who(data), " ", ...told, quiet(`${this.#chain(data)}, block ${data.blockNumber}, ${data.cause}`)] };
  }

  #who({ solverAddress, tokenAddress, tokenSymbol }) {
    const name = this.#directory.solverName(solverAddress) ?? short(solverAddress);
    const token = tokenSymbol ?? (tokenAddress === "native" ? "native coin" : short(tokenAddress));
    return [element("bdi", { text: foreign(name, 40) }), " ", element("bdi", { className: "token", text: foreign(token) })];
  }

  #chain(data) {
    if (data.exchange !== undefined) return foreign(accountOf(data), 48);
    return data.chainId === undefined ? "" : foreign(this.#directory.chainName(data.chainId), 32);
  }
}

const accountOf = ({ exchange, account }) => `${exchange} / ${account}`;

const holder = (data) => [element("bdi", { text: foreign(accountOf(data), 48) }), " ", element("bdi", { className: "token", text: foreign(data.asset) })];

function heldUpdated(data) {
  const change = data.changeAmount;
  const now = data.newBalance === null ? "unknown" : line(data.newBalance);
  // What is on hold moves without the whole: then that is the news.
  const isHold = change !== null && compare(change, "0") === 0;
  if (change === null) return { kind: "note", words: [...holder(data), " starts with ", strong(now), quiet(data.wallet)] };
  if (isHold) return { kind: "note", words: [...holder(data), " on hold: ", strong(line(data.used ?? "0")), ` of ${now}`, quiet(data.wallet)] };
  return {
    kind: change.startsWith("-") ? "down" : "up",
    words: [...holder(data), " ", strong(line(change, true)), ` → ${now}`, quiet(`${data.wallet}, ${data.cause}`)],
  };
}

function heldChanged(data) {
  const percent = data.changePercent === null ? "" : ` (${line(data.changePercent, true)} %)`;
  return { kind: "note", words: [...holder(data), ` moved by ${line(data.changeAmount, true)}${percent}`, quiet(data.wallet)] };
}

function position(data) {
  const what = data.side === "flat" ? "closed" : `${data.side} ${line(data.contracts)}`;
  return { kind: "note", words: [foreign(accountOf(data), 48), " ", foreign(data.symbol, 40), " ", strong(what), quiet(data.entryPrice ? `at ${line(data.entryPrice)}` : "")] };
}

const strong = (text) => element("strong", { text });
const quiet = (text) => element("small", { text });
const amountOf = (data) => (data.amount === null ? `${data.newBalance} raw` : line(data.amount));
