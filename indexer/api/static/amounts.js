// Amounts are strings and BigInts from end to end: a float would round them.

const SHOWN_DIGITS = 6;

/** A raw integer string, scaled: ("-1500000", 6) → "-1.5"; null where the token has no decimals. */
export function scaled(raw, decimals) {
  if (raw === null || decimals === null || decimals === undefined) return null;
  const value = BigInt(raw);
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return (value < 0n ? "-" : "") + whole + (fraction ? "." + fraction : "");
}

/** The parts of a number as people read them: grouped digits, and a fraction cut (never rounded) to six. */
export function parts(amount) {
  const [whole, fraction = ""] = amount.split(".");
  const shown = fraction.length > SHOWN_DIGITS ? fraction.slice(0, SHOWN_DIGITS) + "…" : fraction;
  return { whole: whole.replace(/\B(?=(\d{3})+$)/g, ","), fraction: shown && "." + shown };
}

/** Which of two decimal strings is larger: -1, 0 or 1, exactly. */
export function compare(one, other) {
  const places = Math.max(...[one, other].map((text) => (text.split(".")[1] ?? "").length));
  const [a, b] = [one, other].map((text) => {
    const [whole, fraction = ""] = text.split(".");
    return BigInt(whole + fraction.padEnd(places, "0"));
  });
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One line: with a sign where it is a change. */
export function line(amount, signed = false) {
  const { whole, fraction } = parts(amount);
  const sign = signed && !amount.startsWith("-") ? "+" : "";
  return (sign + whole + fraction).replace("-", "−");
}
