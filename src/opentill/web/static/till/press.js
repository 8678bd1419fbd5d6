// Presses that have to be meant. A double click is one press: what comes too soon after a change was meant for what
// stood there before.

const TOO_SOON_MS = 500;
const SURE_FOR_MS = 6000;

export const isHeld = (button) => button.getAttribute("aria-disabled") === "true";

/** For a moment the button takes no press; it keeps the focus. */
export function hold(button) {
  button.setAttribute("aria-disabled", "true");
  setTimeout(() => button.removeAttribute("aria-disabled"), TOO_SOON_MS);
}

/** The first press asks `question()` on the button, the second one acts. Answers `press`, and `calm` to start anew. */
export function twice(button, question, act) {
  const words = button.textContent;
  let timer = 0;
  let isAsked = false;

  function calm() {
    clearTimeout(timer);
    isAsked = false;
    button.textContent = words;
  }

  function press() {
    if (isHeld(button)) return;
    if (isAsked) {
      calm();
      act();
    } else {
      isAsked = true;
      button.textContent = question();
      hold(button);
      timer = setTimeout(calm, SURE_FOR_MS);
    }
  }
  return { press, calm };
}
