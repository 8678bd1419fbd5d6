// The payment code that a cashier scans. A new one every minute, like the wallets' own.

import { button, copyText, make, say, t } from "./dom.js";
import { passwordBanner } from "./home.js";
import { BEHAVIOURS, drawBars, drawQr, freshCode, grouped } from "./codes.js";
import { ALIPAY, WECHAT, trades, walletName } from "./wallets.js";

const LIFE_MS = 60_000;
const LOOK_EVERY_MS = 2000;

export function showCode(screen) {
  let wallet = sessionStorage.getItem("twin.wallet") ?? ALIPAY;
  let behaviour = "pays";
  let number = "";
  const shown = make("section", { class: "code-card" });
  const waiting = make("div", { "aria-live": "polite" });
  const copy = button(t.code_copy, async () => {
    copy.textContent = (await copyText(number)) ? t.copied : t.copy_failed;
    setTimeout(() => (copy.textContent = t.code_copy), 1500);
  }, "quiet");
  const renew = () => {
    number = freshCode(wallet, behaviour);
    screen.className = `screen code ${wallet}`;
    shown.replaceChildren(
      make("div", { class: "bars" }, drawBars(number)),
      make("output", { class: "number", id: "payment-code", "aria-label": say(t.code_label, { wallet: walletName(wallet), number }) }, grouped(number)),
      make("div", { class: "qr" }, drawQr(number)),
    );
  };
  const chooseWallet = (name) => () => {
    wallet = name;
    sessionStorage.setItem("twin.wallet", name);
    renew();
  };
  const radio = (group, value, label, isChosen, onchange) =>
    make("label", { class: "choice" }, make("input", { type: "radio", name: group, value, checked: isChosen, onchange }), label);
  screen.append(
    make("header", { class: "bar" }, make("h1", {}, t.code)),
    make(
      "div",
      { class: "body stack" },
      waiting,
      make("div", { class: "choices", role: "radiogroup", "aria-label": t.coupon_wallet }, [ALIPAY, WECHAT].map((name) => radio("wallet", name, walletName(name), name === wallet, chooseWallet(name)))),
      shown,
      make("p", { class: "muted small" }, t.code_text),
      make("div", { class: "others two" }, copy, button(t.code_new, renew, "quiet")),
      make(
        "fieldset",
        { class: "card stack" },
        make("legend", {}, t.behaves),
        Object.keys(BEHAVIOURS).map((name) => radio("behaviour", name, t[`behaves_${name}`], name === behaviour, () => { behaviour = name; renew(); })),
      ),
    ),
  );
  renew();
  const renewing = setInterval(renew, LIFE_MS);
  const looking = setInterval(async () => {
    const found = await trades(5).catch(() => []);
    const asked = found.filter((trade) => trade.waits_for_password);
    if (asked.length !== waiting.childElementCount) waiting.replaceChildren(...asked.map(passwordBanner));
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(renewing);
    clearInterval(looking);
  };
}
