// Everything shown is text: tokens choose their own symbols, and some choose to be hostile.

/** An element with text or children in it; nothing is ever parsed as HTML. */
export function element(tag, { text, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/** What a stranger wrote, without control and direction characters, and not endless. */
export function foreign(text, longest = 24) {
  const clean = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "�").trim();
  return clean.length > longest ? clean.slice(0, longest - 1) + "…" : clean;
}

export const short = (address) => (address.length > 14 ? `${address.slice(0, 6)}…${address.slice(-4)}` : address);

export const clock = (time) => new Date(time).toLocaleTimeString([], { hourCycle: "h23" });

export const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
