// The connection to /ws: subscribes, notices silence, comes back and resumes. Events: "frame", "state".

const HEARTBEAT_SECONDS = 5;
const STALE_SECONDS = HEARTBEAT_SECONDS * 2 + 2;
const DEAD_SECONDS = HEARTBEAT_SECONDS * 4;
const RETRY_SECONDS = [0.3, 1, 2, 4, 8];

/** One endless subscription; `positions()` says from where to resume. */
export class Feed extends EventTarget {
  #open; #positions; #socket = null; #failures = 0; #lastFrame = 0; #timer = null;
  state = "connecting";

  /** `open` makes a WebSocket (or throws why not). */
  constructor({ open, positions }) {
    super();
    this.#open = open;
    this.#positions = positions;
    setInterval(() => this.#watch(), 1000);
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  async connect() {
    clearTimeout(this.#timer);
    this.#say("connecting");
    let socket;
    try {
      socket = await this.#open();
    } catch (error) {
      this.#retry(error.message);
      return;
    }
    this.#socket = socket;
    this.#lastFrame = performance.now();
    socket.onopen = () => this.#subscribe(socket);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#hear(JSON.parse(data));
    socket.onclose = ({ reason }) => socket === this.#socket && this.#retry(reason);
  }

  /** Starts over at once, as when the service has another store than before. */
  restart() {
    this.#drop();
    this.connect();
  }

  #subscribe(socket) {
    // The snapshot is the truth about balances; `after` adds the events that were missed in between.
    const after = this.#positions();
    const resume = Object.keys(after).length ? { after } : {};
    socket.send(JSON.stringify({ op: "subscribe", id: "page", snapshot: true, ...resume }));
  }

  #hear(frame) {
    this.#lastFrame = performance.now();
    if (frame.type === "subscribed") this.#failures = 0;
    this.#say("live");
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }

  #watch() {
    if (this.#socket === null) return;
    const silent = (performance.now() - this.#lastFrame) / 1000;
    if (silent > DEAD_SECONDS) {
      this.#drop();
      this.#retry("silent");
    } else if (silent > STALE_SECONDS) {
      this.#say("stale", `nothing heard for ${Math.floor(silent)} s`);
    }
  }

  #retry(reason) {
    this.#socket = null;
    const seconds = RETRY_SECONDS[Math.min(this.#failures++, RETRY_SECONDS.length - 1)];
    this.#say("reconnecting", reason);
    this.#timer = setTimeout(() => this.connect(), seconds * 1000 * (0.75 + Math.random() / 2));
  }

  #hurry() {
    if (this.state === "reconnecting") this.connect();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #say(state, why = "") {
    if (state === this.state && state !== "stale") return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, why } }));
  }
}
