// Giving money back: an amount, a reason, and a second press. The refund's number is made once per form, so that a
// repeat over a bad network is the same refund; what was left is sent along, so that a second tab gives nothing twice.

import { newNumber, post, say, texts } from "./net.js";
import { problem } from "./main.js";
import { fenOf, yuan } from "./money.js";
import { twice } from "./press.js";

export function refundForm(root, url, changed) {
  const form = root.querySelector("#refund");
  if (!form) return;
  const amount = form.querySelector("#refund-amount");
  const reason = form.querySelector("#refund-reason");
  const button = form.querySelector("[type=submit]");
  const warning = form.querySelector(".till-problem");
  let number = newNumber();

  const fen = () => fenOf(amount.value);
  const { press, calm } = twice(button, () => say(form.dataset.sure, { amount: yuan(fen()) }), giveBack);

  function another() {
    // Another amount or reason is another refund.
    number = newNumber();
    warning.textContent = "";
    calm();
  }
  form.addEventListener("input", another);
  for (const choice of form.querySelectorAll("[data-reason]")) {
    choice.addEventListener("click", () => {
      reason.value = choice.textContent;
      another();
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    warning.textContent = fen() ? "" : texts().amount_missing;
    if (fen()) press();
  });

  async function giveBack() {
    button.disabled = true;
    try {
      await post(`${url}/refund`, { number, amount: String(fen()), reason: reason.value, left: form.dataset.left });
      changed();
    } catch (refused) {
      problem(warning, refused);
    } finally {
      button.disabled = false;
    }
  }
}
