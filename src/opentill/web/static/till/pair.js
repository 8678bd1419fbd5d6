// Making this browser a till: a code typed in, or brought along by a link after the #, where no log sees it.

import { postOnce } from "./net.js";
import { problem } from "./main.js";

export function pairScreen(root, go) {
  const form = root.querySelector("#pair");
  const code = root.querySelector("#code");
  code.value = decodeURIComponent(location.hash.slice(1)).slice(0, 12);
  code.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await postOnce("/cashier/pair", { code: code.value });
      go(answer.go, { isReplacing: true });
    } catch (refused) {
      problem(form.querySelector(".till-problem"), refused);
      code.select();
    } finally {
      button.disabled = false;
    }
  });
  // Elsewhere somebody has to press: a link must not make a till another shop's till.
  if (code.value && "atOnce" in form.dataset) form.requestSubmit();
}
