// What was paid and what was not, and all that is known of one trade.

import { dateTime, facts, icon, make, say, t, yuan } from "./dom.js";
import { stateOf, trades, walletName } from "./wallets.js";

const TONES = { paid: "good", refunded: "warn", part_refunded: "warn", failed: "bad", closed: "" };

export async function showBills(screen) {
  const body = make("div", { class: "body" });
  screen.append(make("header", { class: "bar" }, make("h1", {}, t.bills)), body);
  body.replaceChildren(billList(await trades().catch(() => [])));
}

export function billList(found) {
  if (!found.length) return make("p", { class: "card muted" }, t.none_yet);
  return make("ul", { class: "bills card" }, found.map(billLine));
}

function billLine(trade) {
  const state = stateOf(trade);
  return make(
    "li",
    {},
    make(
      "a",
      { href: `#bill/${encodeURIComponent(trade.trade_no || trade.out_trade_no)}` },
      make("span", { class: `wallet-dot ${trade.wallet}`, title: walletName(trade.wallet) }, walletName(trade.wallet).slice(0, 1)),
      make("span", { class: "bill-what" }, make("strong", {}, trade.subject), make("span", { class: "muted small" }, dateTime(trade.created_at))),
      make("span", { class: "bill-money" }, make("strong", {}, yuan(trade.payer_fen)), make("span", { class: `small ${TONES[state] ?? "accent"}` }, t[`state_${state}`])),
    ),
  );
}

export async function showBill(screen, number) {
  const body = make("div", { class: "body stack" });
  screen.append(make("header", { class: "bar" }, make("a", { href: "#bills", class: "back", "aria-label": t.back }, icon("back")), make("h1", {}, t.bill)), body);
  const found = await trades(200).catch(() => []);
  const trade = found.find((each) => each.trade_no === number || each.out_trade_no === number);
  if (!trade) return;
  const state = stateOf(trade);
  body.append(
    make("section", { class: "amount-card" }, make("p", { class: "muted" }, trade.subject), make("p", { class: "amount" }, yuan(trade.payer_fen)), make("p", { class: TONES[state] ?? "accent" }, t[`state_${state}`])),
    make("section", { class: "card" }, facts([
      [t.total, yuan(trade.total_fen)],
      [t.discount, trade.total_fen > trade.payer_fen && `-${yuan(trade.total_fen - trade.payer_fen)}`],
      [t.refunded, trade.refunded_fen > 0 && yuan(trade.refunded_fen)],
      [t.payer, trade.payer],
      [t.merchant, trade.merchant],
      [t.order, make("code", {}, trade.out_trade_no)],
      [t.trade, make("code", {}, trade.trade_no)],
      [t.status, make("code", {}, trade.status)],
      [t.time, dateTime(trade.paid_at ?? trade.created_at)],
    ])),
    history(t.attempts, trade.attempts.map((attempt) => [dateTime(attempt.at), [t[`attempt_${attempt.result}`] ?? attempt.result, reasonOf(attempt)].filter(Boolean).join(" · ")])),
    history(t.refunds, trade.refunds.map((refund) => [dateTime(refund.created_at), `${yuan(refund.amount_fen)} · ${refund.status}`])),
    history(t.callbacks, trade.callbacks.map((callback) => [callback.state, say(t.callback_line, { kind: callback.kind, sent: callback.sent, answer: callback.last_answer })])),
  );
}

function reasonOf(attempt) {
  return t[`reason_${attempt.reason.replace(/ /g, "_")}`] ?? attempt.reason;
}

function history(title, lines) {
  return lines.length ? make("section", { class: "card stack" }, make("h2", {}, title), facts(lines)) : "";
}
