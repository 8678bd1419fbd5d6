// Handing over: the sums that were looked at are the sums that are kept.

import { post } from "./net.js";
import { problem } from "./main.js";
import { printing } from "./paper.js";
import { twice } from "./press.js";

const READ_MS = 1500;

export function shiftScreen(root, go) {
  printing(root);
  const button = root.querySelector("#hand-over");
  if (!button) return undefined;
  const { press, calm } = twice(button, () => button.dataset.sure, handOver);

  async function handOver() {
    button.disabled = true;
    try {
      const answer = await post("/cashier/shift", { seal: button.dataset.seal });
      go(answer.go, { isReplacing: true });
    } catch (refused) {
      problem(root.querySelector("#problem"), refused);
      if (refused.problem === "totals_changed") setTimeout(() => go("/cashier/shift", { isReplacing: true }), READ_MS);
    } finally {
      button.disabled = false;
    }
  }
  button.addEventListener("click", press);
  return calm;
}
