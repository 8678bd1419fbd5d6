// The pretend phone beside the order, where the screen is wide enough for both; elsewhere its link opens a page.

import { make, texts } from "./dom.js";

const WIDE = "(min-width: 60rem)";

let panel = null;

/** Let a link to the phone open it in the panel. */
export function opensPanel(link) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !window.matchMedia(WIDE).matches) return;
    event.preventDefault();
    open(link);
  });
  return link;
}

export function closePanel() {
  panel?.remove();
  panel = null;
}

function open(link) {
  closePanel();
  const frame = make("iframe", { src: link.href, title: texts.demo.phone_title });
  const close = make("button", { type: "button", "aria-label": texts.demo.phone_close, title: texts.demo.phone_close }, "✕");
  close.addEventListener("click", () => {
    closePanel();
    link.focus();
  });
  panel = make(
    "aside",
    { class: "phone-panel", "aria-label": texts.demo.phone_title },
    make("div", { class: "phone-panel-head" }, make("a", { href: link.href, target: "_blank", rel: "noopener" }, texts.demo.phone_new_tab), close),
    frame,
  );
  document.body.append(panel);
  frame.focus();
}
