// Handing over: the sums that were looked at are the sums that are kept.

import { post } from "./net.js";
import { problem } from "./main.js";
import { printing } from "./paper.js";

const SURE_FOR_MS = 6000;

export function shiftScreen(root, go) {
  printing(root);
  const button = root.querySelector("#hand-over");
  if (!button) return undefined;
  const words = button.textContent;
  let unsure = 0;
  let isSure = false;

  function calm() {
    isSure = false;
    button.textContent = words;
  }

  button.addEventListener("click", async () => {
    clearTimeout(unsure);
    if (!isSure) {
      isSure = true;
      button.textContent = button.dataset.sure;
      unsure = setTimeout(calm, SURE_FOR_MS);
      return;
    }
    calm();
    button.disabled = true;
    try {
      const answer = await post("/cashier/shift", { seal: button.dataset.seal });
      go(answer.go, { isReplacing: true });
    } catch (refused) {
      problem(root.querySelector("#problem"), refused);
      if (refused.problem === "totals_changed") setTimeout(() => go("/cashier/shift", { isReplacing: true }), 1500);
    } finally {
      button.disabled = false;
    }
  });
  return () => clearTimeout(unsure);
}
