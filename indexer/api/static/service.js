// What the page asks over HTTP: names of solvers and chains, and the key that a service may want.

const KEY = "indexer-api-key";

export class NeedsKey extends Error {}

/** Names for addresses and chain ids; whoever has none is shown by its address. */
export class Directory {
  #solvers = new Map();
  #chains = new Map();
  #watched = new Set();

  /** Asks again → {isNew: a name, hasLeft: what was watched before}. Also tells the book what only GET /status knows. */
  async refresh(book) {
    const lists = ["status", "solvers?limit=1000", "tokens?limit=1000"];
    const [status, solvers, tokens] = await Promise.all(lists.map((name) => get(`api/v1/${name}`)));
    const before = JSON.stringify([[...this.#solvers], [...this.#chains]]);
    for (const [stream, about] of Object.entries(status.streams)) {
      book.describe(stream, about);
      if (stream.startsWith("chain:")) this.#chains.set(stream.slice(6), about.name);
    }
    this.#solvers = new Map(solvers.items.map(({ name, address }) => [address, name]));
    const watched = new Set([...solvers.items.flatMap(places), ...tokens.items.map(place)]);
    const hasLeft = [...this.#watched].some((one) => !watched.has(one));
    this.#watched = watched;
    return { isNew: before !== JSON.stringify([[...this.#solvers], [...this.#chains]]), hasLeft };
  }

  knows(solver) { return isAccount(solver) || this.#solvers.has(solver); }
  solverName(address) { return isAccount(address) ? accountName(address) : this.#solvers.get(address) ?? null; }
  chainName(id) { return this.#chains.get(String(id)) ?? `chain ${id}`; }
}

const places = ({ address, chains }) => (chains ?? ["all"]).map((chain) => `${address} on ${chain}`);
const place = ({ chainId, tokenAddress }) => `${tokenAddress} on ${chainId}`;

const isAccount = (group) => group.startsWith("exchange:");

/** "exchange:binance:desk" → "binance / desk" */
export const accountName = (stream) => stream.slice(9).replace(":", " / ");

async function get(path) {
  const key = sessionStorage.getItem(KEY);
  const answer = await fetch(path, { headers: key ? { Authorization: `Bearer ${key}` } : {}, cache: "no-store" });
  if (answer.status === 401 || answer.status === 403) {
    throw new NeedsKey(key ? "The key was not accepted." : "");
  }
  if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
  return answer.json();
}

/** A browser cannot set headers on a websocket: there the key travels in the query. */
export function openSocket() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const key = sessionStorage.getItem(KEY);
  if (key) url.searchParams.set("api_key", key);
  return new WebSocket(url);
}

/** Asks the person for a key and keeps it for this tab. */
export function login(why) {
  const dialog = document.querySelector("#login");
  const form = dialog.querySelector("form");
  dialog.querySelector("#login-why").textContent = why;
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEY, form.elements.key.value.trim());
      form.reset();
      resolve();
    }, { once: true });
  });
}
