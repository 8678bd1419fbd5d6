// Who is at the till, and their PIN: on the screen's keys or on a keyboard.

import { listen, screenKeys } from "./keys.js";
import { postOnce, say } from "./net.js";
import { problem } from "./main.js";

const PIN = /^\d{4,8}$/;

export function signInScreen(root, go) {
  const choose = root.querySelector("#choose");
  const form = root.querySelector("#pin-form");
  const pin = root.querySelector("#pin");
  const title = root.querySelector("#pin-title");
  const warning = form.querySelector(".till-problem");
  let operatorId = "";

  function begin(button) {
    operatorId = button.dataset.cashier;
    title.textContent = say(title.dataset.text, { name: button.dataset.name });
    warning.textContent = "";
    pin.value = "";
    choose.hidden = true;
    form.hidden = false;
    pin.focus();
  }

  const buttons = [...root.querySelectorAll("[data-cashier]")];
  for (const button of buttons) button.addEventListener("click", () => begin(button));
  if (buttons.length === 1) begin(buttons[0]);

  function type(key) {
    if (key === "enter") form.requestSubmit();
    else if (key === "clear") pin.value = "";
    else if (key === "delete") pin.value = pin.value.slice(0, -1);
    else if (/^\d$/.test(key) && pin.value.length < pin.maxLength) pin.value += key;
  }
  screenKeys(root, type);
  // Wherever the focus is: a tap beside the keys takes it away from the field.
  const stopListening = listen({ typed: type, scanned: () => {}, isListening: () => !form.hidden });
  root.querySelector("#other").addEventListener("click", () => {
    form.hidden = true;
    choose.hidden = false;
    buttons[0]?.focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const enter = root.querySelector("#enter");
    if (!pin.value || enter.disabled) return;
    warning.textContent = PIN.test(pin.value) ? "" : form.dataset.wrong;
    if (warning.textContent) return;
    enter.disabled = true;
    try {
      const answer = await postOnce("/cashier/sign-in", { operator_id: operatorId, pin: pin.value });
      go(answer.go, { isReplacing: true });
    } catch (refused) {
      problem(warning, refused);
      pin.value = "";
      pin.focus();
    } finally {
      enter.disabled = false;
    }
  });
  return stopListening;
}
