// The customer's payment code: from a scanner gun, typed, or read by the camera.

import { texts } from "./net.js";
import { hasCamera, watchCamera } from "./camera.js";

const CODE = /^\d{16,24}$/;

export function barcodePanel(root, { isReady, charge, amount }) {
  const form = root.querySelector("#barcode-form");
  const desk = root.querySelector("#desk");
  const code = root.querySelector("#barcode");
  const warning = root.querySelector("#barcode-problem");
  const video = root.querySelector("#camera");
  const toggle = root.querySelector("#use-camera");
  let stopCamera = null;

  root.querySelector("#open-barcode")?.addEventListener("click", () => {
    if (!isReady()) return;
    root.querySelector("#barcode-amount").textContent = amount();
    warning.textContent = "";
    code.value = "";
    desk.hidden = true;
    form.hidden = false;
    code.focus();
  });
  root.querySelector("#close-barcode").addEventListener("click", close);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(code.value);
  });
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  toggle.addEventListener("click", async () => {
    if (stopCamera) return stop();
    if (!hasCamera()) {
      warning.textContent = toggle.dataset.missing;
      return undefined;
    }
    try {
      stopCamera = await watchCamera(video, (text) => CODE.test(text), take);
      video.hidden = false;
      toggle.lastElementChild.textContent = toggle.dataset.stop;
    } catch {
      warning.textContent = toggle.dataset.refused;
    }
    return undefined;
  });

  function take(text) {
    const digits = text.replace(/\s/g, "");
    warning.textContent = CODE.test(digits) ? "" : texts().barcode_wrong;
    if (warning.textContent) code.select();
    else charge(digits);
  }

  function stop() {
    stopCamera?.();
    stopCamera = null;
    video.hidden = true;
    toggle.lastElementChild.textContent = toggle.dataset.start;
  }

  function close() {
    stop();
    // Not to the button that opened it: Enter means the usual way of paying.
    if (!form.hidden) document.getElementById("main").focus({ preventScroll: true });
    form.hidden = true;
    desk.hidden = false;
  }
  return { stop, close };
}
