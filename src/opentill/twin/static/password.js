// A payment code was read, and the wallet asks its owner for the password.

import { button, facts, icon, make, t, yuan } from "./dom.js";
import { drawPaid } from "./pay.js";
import { enterPassword, trades, walletName } from "./wallets.js";

export async function showPassword(screen, outTradeNo) {
  const bar = make("header", { class: "bar" }, make("a", { href: "#home", class: "back", "aria-label": t.back }, icon("back")), make("h1", {}, t.password_title));
  const body = make("div", { class: "body stack" });
  screen.append(bar, body);
  const found = await trades().catch(() => []);
  const trade = found.find((each) => each.out_trade_no === outTradeNo && each.waits_for_password);
  if (!trade) {
    location.hash = "home";
    return;
  }
  bar.classList.add(trade.wallet);
  const message = make("p", { class: "bad", role: "alert" });
  const confirm = async () => {
    try {
      drawPaid(body, await enterPassword(outTradeNo));
    } catch (refusal) {
      message.textContent = refusal.message;
    }
  };
  const mistype = async () => {
    try {
      await enterPassword(outTradeNo, { result: "fail", reason: "wrong_password" });
      location.hash = "home";
    } catch (refusal) {
      message.textContent = refusal.message;
    }
  };
  const confirmButton = button(t.password_confirm, confirm, `main ${trade.wallet}`);
  confirmButton.id = "confirm-password";
  body.append(
    make("section", { class: "amount-card" }, make("p", { class: "muted" }, walletName(trade.wallet)), make("p", { class: "amount" }, yuan(trade.total_fen)), make("p", { class: "dots", "aria-hidden": "true" }, "••••••")),
    make("section", { class: "card" }, facts([[t.subject, trade.subject], [t.order, make("code", {}, trade.out_trade_no)]])),
    message,
    confirmButton,
    button(t.password_wrong, mistype, "quiet"),
  );
}
