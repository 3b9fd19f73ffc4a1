// The balances, one row group per solver, changed in place.

import { compare, line, parts } from "./amounts.js";
import { clock, element, foreign, setText, short } from "./text.js";

const MOST_ROWS = 1500;
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

/** Draws rows into the table; at most `MOST_ROWS`, and says so. */
export class Table {
  #table; #directory;
  #lines = new Map();
  #groups = new Map();

  constructor(table, directory) {
    this.#table = table;
    this.#directory = directory;
  }

  /** Only what changed: a row that is shown is filled again, anything else means a new layout. */
  update(changed, removed, rows, wanted) {
    const layout = [...removed].some((key) => this.#lines.has(key));
    const shown = [];
    let isNew = layout;
    for (const row of changed) {
      const isShown = this.#lines.has(row.key);
      if (isShown !== this.#matches(row, wanted)) isNew = true;
      else if (isShown) shown.push(row);
    }
    if (isNew) this.rebuild(rows, wanted);
    // One that changed may be gone by the end of the same frame.
    const there = shown.filter((row) => this.#lines.has(row.key));
    for (const row of there) this.#fill(row);
    for (const row of there) this.#flash(row);
  }

  rebuild(rows, wanted) {
    const matching = [...rows.values()].filter((row) => this.#matches(row, wanted));
    matching.sort((a, b) => this.#order(a, b));
    const visible = matching.slice(0, MOST_ROWS);
    const lines = new Map();
    const groups = new Map();
    for (const row of visible) {
      const made = this.#lines.get(row.key) ?? makeLine();
      lines.set(row.key, made);
      if (!groups.has(row.solver)) groups.set(row.solver, []);
      groups.get(row.solver).push(made.root);
    }
    this.#lines = lines;
    this.#place(groups);
    for (const row of visible) this.#fill(row);
    this.#table.hidden = rows.size === 0;
    document.querySelector("#empty").hidden = rows.size !== 0;
    const more = matching.length > visible.length ? `, the first ${visible.length} shown: narrow the search` : "";
    setText(document.querySelector("#shown"), `${matching.length} of ${rows.size} balances${more}`);
  }

  #place(groups) {
    for (const [solver, body] of this.#groups) {
      if (groups.has(solver)) continue;
      body.remove();
      this.#groups.delete(solver);
    }
    for (const [solver, lines] of groups) {
      let body = this.#groups.get(solver);
      if (!body) {
        body = element("tbody", {}, element("tr", { className: "solver" }, element("th", { scope: "rowgroup", colSpan: 6 })));
        this.#groups.set(solver, body);
      }
      const name = this.#directory.solverName(solver);
      const label = [element("bdi", { text: foreign(name ?? short(solver), 40) })];
      if (solver.startsWith("exchange:")) label.push(" ", element("code", { text: "exchange account" }));
      else if (name) label.push(" ", element("code", { text: short(solver), title: solver }));
      body.rows[0].cells[0].replaceChildren(...label);
      body.replaceChildren(body.rows[0], ...lines);
      this.#table.append(body);
    }
  }

  #matches(row, { text = "", chain = "", zero }) {
    if (chain !== "" && row.where !== chain) return false;
    if (!zero && row.isZero) return false;
    const sought = text.trim().toLowerCase();
    if (sought === "") return true;
    const where = [row.solver, row.token, row.symbol ?? "", this.#directory.solverName(row.solver) ?? "", this.#where(row)];
    return where.some((part) => part.toLowerCase().includes(sought));
  }

  #where(row) { return row.place ?? this.#directory.chainName(row.chainId); }

  #order(a, b) {
    const names = [a, b].map(({ solver }) => this.#directory.solverName(solver) ?? solver);
    return (a.chainId === undefined) - (b.chainId === undefined)
      || names[0].localeCompare(names[1], "en", { numeric: true })
      || a.solver.localeCompare(b.solver)
      || (a.chainId - b.chainId || 0)
      || (a.place ?? "").localeCompare(b.place ?? "")
      || (b.token === "native") - (a.token === "native")
      || a.token.localeCompare(b.token);
  }

  #fill(row) {
    const { cells, root } = this.#lines.get(row.key);
    const { whole, fraction } = parts(row.amount);
    setText(cells.token, row.symbol ? foreign(row.symbol) : row.token === "native" ? "native coin" : short(row.token));
    cells.token.title = row.token;
    setText(cells.chain, foreign(this.#where(row), 32));
    setText(cells.whole, whole);
    setText(cells.fraction, row.isRaw ? " raw" : fraction);
    cells.balance.title = row.detail ? `${row.amount} · ${row.detail}` : row.amount;
    cells.balance.classList.toggle("raw", row.isRaw);
    const isMoved = row.change !== null && row.change !== undefined && compare(row.change, "0") !== 0;
    setText(cells.change, isMoved ? line(row.change, true) : "");
    cells.change.className = `number change ${row.change?.startsWith("-") ? "down" : "up"}`;
    setText(cells.block, row.block === null ? "" : row.block.toLocaleString("en"));
    setText(cells.time, clock(row.time));
    cells.time.dateTime = row.time;
    root.classList.toggle("zero", row.isZero);
  }

  #flash(row) {
    if (row.direction === 0) return;
    const { root } = this.#lines.get(row.key);
    const colour = row.direction > 0 ? "var(--up-flash)" : "var(--down-flash)";
    root.dataset.flashed = String(Number(root.dataset.flashed ?? 0) + 1);
    if (!isCalm.matches) root.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], { duration: 1600, easing: "ease-out" });
  }
}

function makeLine() {
  const token = element("bdi");
  const whole = element("span", { className: "whole" });
  const fraction = element("span", { className: "fraction" });
  const time = element("time");
  const cells = {
    chain: element("td", { className: "chain" }),
    balance: element("td", { className: "number balance" }, whole, fraction),
    change: element("td", { className: "number change" }),
    block: element("td", { className: "number block" }),
  };
  const root = element(
    "tr", {}, element("th", { scope: "row" }, token), cells.chain, cells.balance, cells.change, cells.block,
    element("td", { className: "at" }, time),
  );
  return { root, cells: { ...cells, token, whole, fraction, time } };
}
