// A keyboard and a scanner gun look alike to a browser. A gun types faster than anybody: digits that come within a
// moment of each other wait until it is clear who typed them.

const MOMENT_MS = 60;
const SHORTEST_CODE = 16;

/** Calls `typed` with each key on the screen that is pressed. A finger moves no focus, so Enter still means what it did. */
export function screenKeys(root, typed) {
  for (const button of root.querySelectorAll("[data-key]")) {
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => typed(button.dataset.key));
  }
}

/**
 * Calls `typed(key)` with "0"-"9", "." , "delete", "clear" or "enter", and `scanned(code)` with what a gun read.
 * Answers a function that stops it.
 */
export function listen({ typed, scanned, isListening }) {
  let burst = "";
  let timer = 0;

  function release() {
    clearTimeout(timer);
    const keys = burst;
    burst = "";
    for (const key of keys) typed(key);
  }

  function press(event) {
    if (!isListening() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, summary, a")) return;
    const { key } = event;
    if (/^[0-9]$/.test(key)) {
      burst += key;
      clearTimeout(timer);
      timer = setTimeout(release, MOMENT_MS);
    } else if (key === "Enter") {
      const code = burst;
      if (code.length >= SHORTEST_CODE) {
        clearTimeout(timer);
        burst = "";
        scanned(code);
      } else {
        // Enter on a button presses that button, unless it follows typed digits.
        if (!code && event.target.closest("button")) return;
        release();
        typed("enter");
      }
    } else if (key === "." || key === "," || key === "。") {
      release();
      typed(".");
    } else if (key === "Backspace") {
      release();
      typed("delete");
    } else if (key === "Escape" || key === "Delete") {
      release();
      typed("clear");
    } else {
      return;
    }
    event.preventDefault();
  }

  document.addEventListener("keydown", press);
  // Who types and then presses a button has typed it all.
  document.addEventListener("pointerdown", release, { capture: true });
  return () => {
    clearTimeout(timer);
    document.removeEventListener("keydown", press);
    document.removeEventListener("pointerdown", release, { capture: true });
  };
}
