// Paying what a QR code asks for: look at it, pay, or fail to.

import { button, facts, icon, make, say, t, yuan } from "./dom.js";
import { pay, payer, scan, stateOf, walletName } from "./wallets.js";

export async function showPay(screen, code) {
  const bar = make("header", { class: "bar" }, make("a", { href: "#home", class: "back", "aria-label": t.back }, icon("back")), make("h1", {}, t.scan));
  const body = make("div", { class: "body stack" }, make("p", { class: "muted", role: "status" }, t.loading));
  screen.append(bar, body);
  try {
    const trade = await scan(code);
    if (stateOf(trade) === "waiting") drawCashier(bar, body, code, trade);
    else drawRefusal(body, stateOf(trade) === "paid" ? t.already_paid : t.trade_closed);
  } catch (refusal) {
    if (refusal.code === "UNKNOWN_CODE" && isOurLink(code)) drawLink(body, code);
    else drawRefusal(body, refusal.message);
  }
}

function drawCashier(bar, body, code, trade) {
  bar.classList.add(trade.wallet);
  bar.querySelector("h1").textContent = walletName(trade.wallet);
  const message = make("p", { class: "bad", role: "alert" });
  const attempt = async (buttons, more, failed) => {
    for (const each of buttons) each.disabled = true;
    try {
      const paid = await pay(code, { total_fen: trade.total_fen, ...more });
      if (!failed) return drawPaid(body, paid);
      message.replaceChildren(make("strong", {}, failed), make("br"), t.try_again);
    } catch (refusal) {
      message.textContent = refusal.message;
    }
    for (const each of buttons) each.disabled = false;
    return undefined;
  };
  const fail = (reason) => () => attempt(all(), { result: "fail", reason }, t[`failed_${reason}`]);
  const payButton = button(say(t.pay, { amount: yuan(trade.total_fen) }), () => attempt(all(), {}), `main ${trade.wallet}`);
  payButton.id = "pay";
  const others = [
    button(t.wrong_password, fail("wrong_password"), "quiet"),
    button(t.no_money, fail("no_money"), "quiet"),
    make("a", { class: "button quiet", href: "#home" }, t.cancel),
  ];
  const all = () => [payButton, ...others.slice(0, 2)];
  body.replaceChildren(
    make(
      "section",
      { class: "amount-card" },
      make("p", { class: "muted" }, trade.merchant_name ? say(t.pay_to, { merchant: trade.merchant_name }) : trade.subject),
      make("p", { class: "amount" }, yuan(trade.total_fen)),
    ),
    make("section", { class: "card" }, facts([
      [t.subject, trade.subject],
      [t.merchant, trade.merchant],
      [t.goods, goodsLines(trade.goods)],
      [t.order, make("code", {}, trade.out_trade_no)],
      [t.payer, payer()],
    ])),
    message,
    payButton,
    make("section", { class: "stack" }, make("h2", {}, t.instead), make("div", { class: "others" }, others)),
  );
}

function goodsLines(goods) {
  if (!goods?.length) return null;
  return make("ul", { class: "plain" }, goods.map((line) => make("li", {}, [line.name, line.quantity && `× ${line.quantity}`, line.price_fen && yuan(line.price_fen)].filter(Boolean).join(" "))));
}

export function drawPaid(body, trade) {
  const discountFen = trade.total_fen - trade.payer_fen;
  body.replaceChildren(
    make(
      "section",
      { class: `outcome ${trade.wallet}`, role: "status" },
      make("span", { class: "outcome-mark" }, icon("check")),
      make("h2", {}, t.paid),
      make("p", { class: "amount" }, yuan(trade.payer_fen)),
      make("p", { class: "muted" }, walletName(trade.wallet)),
    ),
    make("section", { class: "card" }, facts([
      [t.total, yuan(trade.total_fen)],
      [t.discount, discountFen > 0 && `-${yuan(discountFen)}`],
      [t.paid_amount, yuan(trade.payer_fen)],
      [t.order, make("code", {}, trade.out_trade_no)],
      [t.trade, make("code", {}, trade.trade_no)],
    ])),
    make("a", { class: `button main ${trade.wallet}`, href: "#home", id: "done" }, t.done),
  );
}

/** What cannot be paid says why. */
function drawRefusal(body, message) {
  drawOutcome(body, "bad", "cross", t.cannot, message, make("a", { class: "button quiet", href: "#home" }, t.done));
}

/** A link of a merchant, which a wallet opens in its browser. */
function drawLink(body, url) {
  const open = make("a", { class: "button main", href: url, target: "_blank", rel: "noopener", id: "open-link" }, t.open_link);
  drawOutcome(body, "link", "link", t.link, t.link_text, open);
}

function drawOutcome(body, kind, mark, title, message, next) {
  body.replaceChildren(
    make("section", { class: "outcome", role: "alert" }, make("span", { class: `outcome-mark ${kind}` }, icon(mark)), make("h2", {}, title), make("p", { class: "muted" }, message)),
    next,
  );
}

function isOurLink(text) {
  return /^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === location.origin;
}
