// Amounts as whole fen; typed as digits, never through floating point.

export const MOST_FEN = 10_000_000_000;

/** Fen as ¥1,234.50. */
export function yuan(fen) {
  const digits = String(fen).padStart(3, "0");
  return `¥${digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ",")}.${digits.slice(-2)}`;
}

/** "12.5" to 1250; null when it is no amount with at most two decimals. */
export function fenOf(text) {
  const match = /^(\d{0,9})(?:\.(\d{0,2}))?$/.exec(text.trim().replace(/[,，¥￥]/g, ""));
  if (!match || !(match[1] || match[2])) return null;
  return Number(match[1] || "0") * 100 + Number((match[2] ?? "").padEnd(2, "0"));
}

/** A quantity with at most three decimals times fen, rounded half up; null when it is no quantity. */
export function times(quantity, fen) {
  const match = /^(\d{1,6})(?:\.(\d{1,3}))?$/.exec(quantity.trim());
  if (!match) return null;
  const milli = Number(match[1]) * 1000 + Number((match[2] ?? "").padEnd(3, "0"));
  return milli > 0 ? Math.floor((milli * fen + 500) / 1000) : null;
}

/** What is typed so far, as it is shown: whole yuan in groups, decimals as typed. */
export function shown(text) {
  const [whole, ...rest] = text.split(".");
  const grouped = (whole || "0").replace(/\B(?=(\d{3})+$)/g, ",");
  return rest.length ? `${grouped}.${rest[0]}` : grouped;
}
