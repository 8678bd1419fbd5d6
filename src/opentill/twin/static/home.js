// The first screen, and whose phone it is.

import { button, facts, fenOf, icon, language, make, say, t, yuan } from "./dom.js";
import { billList } from "./bills.js";
import { ALIPAY, WECHAT, addCoupon, becomePayer, clearCoupons, coupons, payer, trades, walletName } from "./wallets.js";

const LOOK_EVERY_MS = 3000;
const RECENT = 4;
const PEOPLE = ["payer", "alice", "bob"];

export async function showHome(screen) {
  const text = make("textarea", { id: "qr-text", rows: 2, placeholder: t.paste_example, spellcheck: false, required: true });
  const form = make(
    "form",
    { class: "card stack", onsubmit: (event) => { event.preventDefault(); openCode(text.value); } },
    make("label", { htmlFor: "qr-text" }, t.paste_label),
    text,
    make("button", { type: "submit", class: "button quiet", id: "open-code" }, t.paste_button),
  );
  const recent = make("div", { class: "stack" });
  const waiting = make("div", { "aria-live": "polite" });
  screen.append(
    make(
      "header",
      { class: "hero" },
      make("h1", {}, say(t.hello, { payer: payer() })),
      make("p", {}, t.hello_text),
      make(
        "div",
        { class: "hero-actions" },
        make("a", { href: "#scan", id: "go-scan" }, icon("scan"), make("span", {}, t.scan)),
        make("a", { href: "#code", id: "go-code" }, icon("code"), make("span", {}, t.code)),
      ),
    ),
    make("div", { class: "body stack" }, waiting, form, make("h2", {}, t.recent), recent),
  );
  let latest = "";
  const look = async () => {
    const found = await trades(RECENT).catch(() => []);
    const drawn = JSON.stringify(found);
    if (drawn === latest) return;
    latest = drawn;
    waiting.replaceChildren(...found.filter((trade) => trade.waits_for_password).map(passwordBanner));
    recent.replaceChildren(billList(found));
  };
  await look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

export function openCode(text) {
  const code = text.trim();
  if (code) location.hash = `pay/${encodeURIComponent(code)}`;
}

export function passwordBanner(trade) {
  return make(
    "a",
    { class: `banner ${trade.wallet}`, href: `#password/${encodeURIComponent(trade.out_trade_no)}` },
    make("span", {}, t.password_banner),
    make("strong", {}, yuan(trade.total_fen)),
  );
}

export async function showMe(screen) {
  const people = make("div", { class: "choices" }, PEOPLE.map((name) => person(name)));
  const list = make("div", { class: "stack" });
  const drawCoupons = async () => list.replaceChildren(...couponLines(await coupons().catch(() => [])));
  screen.append(
    make("header", { class: "bar" }, make("h1", {}, t.me)),
    make(
      "div",
      { class: "body stack" },
      make("section", { class: "card stack" }, make("h2", {}, t.who), make("p", { class: "muted" }, t.who_text), people),
      make("section", { class: "card stack" }, make("h2", {}, t.coupons), make("p", { class: "muted" }, t.coupons_text), list, couponForm(drawCoupons)),
      make("a", { class: "button quiet", href: `?lang=${language === "zh" ? "en" : "zh"}#me` }, t.other_language),
    ),
  );
  await drawCoupons();
}

function person(name) {
  const choose = () => becomePayer(name);
  return make("label", { class: "choice" }, make("input", { type: "radio", name: "payer", checked: name === payer(), onchange: choose }), name);
}

function couponLines(found) {
  return found.map((coupon) =>
    make("p", { class: "coupon" }, say(t.coupon_line, {
      wallet: walletName(coupon.wallet),
      goods: coupon.goods_num,
      amount: yuan(coupon.amount_fen),
      times: coupon.times_left,
    })),
  );
}

function couponForm(drawCoupons) {
  const wallet = make("select", { id: "coupon-wallet" }, [ALIPAY, WECHAT].map((name) => make("option", { value: name }, walletName(name))));
  const goods = make("input", { type: "text", id: "coupon-goods", value: "6901234567892", autocomplete: "off" });
  const amount = make("input", { type: "text", id: "coupon-amount", inputMode: "decimal", autocomplete: "off" });
  const problem = make("p", { class: "bad small", role: "alert" });
  const add = async (event) => {
    event.preventDefault();
    const amountFen = fenOf(amount.value);
    problem.textContent = amountFen && goods.value.trim() ? "" : t.coupon_bad;
    if (problem.textContent) return;
    await addCoupon({ wallet: wallet.value, goods_num: goods.value.trim(), amount_fen: amountFen });
    amount.value = "";
    await drawCoupons();
  };
  const clear = async () => {
    await clearCoupons();
    await drawCoupons();
  };
  return make(
    "form",
    { class: "stack", onsubmit: add },
    facts([
      [make("label", { htmlFor: "coupon-wallet" }, t.coupon_wallet), wallet],
      [make("label", { htmlFor: "coupon-goods" }, t.coupon_goods), goods],
      [make("label", { htmlFor: "coupon-amount" }, t.coupon_amount), amount],
    ]),
    problem,
    make("button", { type: "submit", class: "button quiet", id: "add-coupon" }, t.coupon_add),
    button(t.coupon_clear, clear, "link"),
  );
}
