// What the page knows: balances, streams and positions, folded from the frames of /ws. No DOM in here.

import { compare, scaled } from "./amounts.js";

export const rowKey = (data) => (data.exchange === undefined
  ? `${data.chainId}/${data.tokenAddress}/${data.solverAddress}`
  : `${accountStream(data)}/${data.wallet}/${data.asset}`);

const accountStream = ({ exchange, account }) => `exchange:${exchange}:${account}`;

/** Takes frames in order; says which rows changed, and which events are new. */
export class Book {
  rows = new Map();
  streams = new Map();
  positions = {};
  epoch = null;
  #seen = { gap: null };
  #left = new Set();

  /** One frame → {changed: rows, removed: keys, event, restarted, returned}. */
  take(frame) {
    switch (frame.type) {
      case "snapshot": return this.#snapshot(frame);
      case "heartbeat": return this.#heartbeat(frame);
      case "gap": this.#seen.gap = frame.stream; return { event: frame };
      case "conflated": case "error": return { event: frame };
      default: return frame.seq === undefined ? {} : this.#event(frame);
    }
  }

  #event(frame) {
    const epoch = frame.id.split(":", 1)[0];
    if (this.epoch !== null && this.epoch !== epoch) return { restarted: true };
    this.epoch = epoch;
    // A replayed event older than the snapshot is news for the list, but not for the table.
    const isNews = frame.seq > (this.positions[frame.stream] ?? 0);
    if (isNews) this.positions[frame.stream] = frame.seq;
    const isBalance = frame.type === "balance.updated" || frame.type === "balance.reverted";
    if (!isNews || !isBalance) return { event: frame, changed: [] };
    this.#advance(frame);
    return { event: frame, changed: [this.#put(rowOfEvent(frame))] };
  }

  #snapshot(frame) {
    const only = this.#seen.gap;
    this.#seen.gap = null;
    const changed = frame.items.map((item) => this.#put(rowOfItem(item, this.rows.get(rowKey(item)))));
    const kept = new Set(changed.map((row) => row.key));
    const removed = this.#remove((row) => !kept.has(row.key) && (only === null || only === row.stream));
    if (only === null) this.positions = {};
    Object.assign(this.positions, frame.positions);
    return { changed, removed };
  }

  #heartbeat(frame) {
    for (const [stream, beat] of Object.entries(frame.streams)) this.#merge(stream, { beat });
    const left = new Set([...this.streams.keys()].filter((stream) => !(stream in frame.streams)));
    for (const stream of left) this.streams.delete(stream);
    return { removed: this.#remove((row) => left.has(row.stream)), returned: this.#hasReturned(frame) };
  }

  #remove(isGone) {
    const gone = [...this.rows.values()].filter(isGone);
    for (const row of gone) this.rows.delete(row.key);
    const followed = new Set([...this.rows.values()].map((row) => row.stream));
    for (const { stream } of gone) if (!followed.has(stream)) this.#left.add(stream);
    return gone.map((row) => row.key);
  }

  /** Whether an account or chain is followed again: what it holds was told before its rows were removed. */
  #hasReturned(frame) {
    const returned = [...this.#left].filter((stream) => stream in frame.streams);
    for (const stream of returned) this.#left.delete(stream);
    return returned.length > 0;
  }

  /** Adds what only GET /status says of a stream. Where a heartbeat says it too, or that it is gone, that one is never the older. */
  describe(stream, about) {
    if (!this.#left.has(stream)) this.#merge(stream, { about });
  }

  #merge(stream, news) {
    const { about = {}, beat = {}, block = null } = { ...this.streams.get(stream), ...news };
    const newest = Math.max(block ?? -1, about.block ?? -1, beat.block ?? -1);
    this.streams.set(stream, { ...about, ...beat, about, beat, stream, block: newest < 0 ? null : newest });
  }

  #advance(frame) {
    const known = this.streams.get(frame.stream);
    if (known && frame.data.blockNumber !== undefined) known.block = Math.max(known.block ?? 0, frame.data.blockNumber);
  }

  #put(row) {
    const before = this.rows.get(row.key);
    row.direction = before ? compare(row.raw ?? "0", before.raw ?? "0") : 0;
    this.rows.set(row.key, row);
    return row;
  }

  /** Everything is read anew: the service has another store than before. */
  forget() {
    this.positions = {};
    this.epoch = null;
    this.streams.clear();
  }
}

function rowOfEvent({ time, data }) {
  const change = data.exchange === undefined ? scaled(data.changeAmount, data.decimals) : null;
  return { ...rowOf(data, data.newBalance), time, change: change ?? data.changeAmount };
}

function rowOfItem(data, before) {
  const isSame = before !== undefined && before.raw === data.balance;
  return { ...rowOf(data, data.balance), time: isSame ? before.time : data.timestamp, change: isSame ? before.change : null };
}

function rowOf(data, raw) {
  return data.exchange === undefined ? rowOfChain(data, raw) : rowOfAccount(data, raw);
}

/** What an account holds stands where a balance of a chain stands: its name for the solver, its wallet for the chain. */
function rowOfAccount(data, raw) {
  const stream = accountStream(data);
  const apart = [["free", data.free], ["on hold", data.used], ["debt", data.debt]].filter(([, amount]) => amount !== null);
  return {
    key: rowKey(data),
    stream,
    where: stream,
    place: data.wallet,
    solver: stream,
    token: data.asset,
    raw,
    amount: raw ?? "–",
    isRaw: false,
    isZero: raw !== null && compare(raw, "0") === 0,
    symbol: data.asset,
    block: null,
    detail: apart.map(([name, amount]) => `${name} ${amount}`).join(" · "),
  };
}

function rowOfChain(data, raw) {
  return {
    key: rowKey(data),
    stream: `chain:${data.chainId}`,
    where: String(data.chainId),
    chainId: data.chainId,
    token: data.tokenAddress,
    solver: data.solverAddress,
    raw,
    amount: data.amount ?? raw,
    isRaw: data.amount === null || data.amount === undefined,
    isZero: raw === "0",
    symbol: data.tokenSymbol,
    block: data.blockNumber,
  };
}
