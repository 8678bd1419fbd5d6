// Giving money back: an amount, a reason, and a second press. The refund's number is made once per form, so that a
// repeat over a bad network is the same refund.

import { newNumber, post, say, texts } from "./net.js";
import { problem } from "./main.js";
import { fenOf, yuan } from "./money.js";

const SURE_FOR_MS = 6000;

export function refundForm(root, url, changed) {
  const form = root.querySelector("#refund");
  if (!form) return;
  const amount = form.querySelector("#refund-amount");
  const reason = form.querySelector("#refund-reason");
  const button = form.querySelector("[type=submit]");
  const warning = form.querySelector(".till-problem");
  let number = newNumber();
  let unsure = 0;

  for (const choice of form.querySelectorAll("[data-reason]")) {
    choice.addEventListener("click", () => {
      reason.value = choice.textContent;
      calm();
    });
  }
  form.addEventListener("input", () => {
    // Another amount or reason is another refund.
    number = newNumber();
    calm();
  });

  function calm() {
    clearTimeout(unsure);
    delete form.dataset.isSure;
    button.textContent = form.dataset.goText;
    warning.textContent = "";
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fen = fenOf(amount.value);
    if (!form.dataset.isSure) {
      form.dataset.isSure = "1";
      button.textContent = fen ? say(form.dataset.sure, { amount: yuan(fen) }) : form.dataset.goText;
      unsure = setTimeout(calm, SURE_FOR_MS);
      return;
    }
    calm();
    button.disabled = true;
    try {
      await post(`${url}/refund`, { number, amount: String(fen ?? ""), reason: reason.value });
    } catch (refused) {
      problem(warning, refused.message ? refused : new Error(texts().network));
    } finally {
      button.disabled = false;
    }
    changed();
  });
}
