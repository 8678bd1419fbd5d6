// Scanning: the camera where the browser allows it, a photo everywhere.

import { icon, make, t } from "./dom.js";
import { openCode } from "./home.js";
import { hasCamera, readPhoto, watchCamera } from "./scanning.js";

export async function showScan(screen) {
  const message = make("p", { class: "scan-message", role: "status" });
  const photo = make("input", { type: "file", accept: "image/*", id: "photo", class: "visually-hidden" });
  photo.addEventListener("change", async () => {
    const text = photo.files[0] ? await readPhoto(photo.files[0]).catch(() => null) : null;
    if (text) openCode(text);
    else message.textContent = t.photo_unread;
  });
  const video = make("video", { muted: true, playsInline: true, hidden: true, "aria-label": t.camera_title });
  screen.append(
    make("header", { class: "bar" }, make("a", { href: "#home", class: "back", "aria-label": t.back }, icon("back")), make("h1", {}, t.scan)),
    make("div", { class: "viewfinder" }, video, make("span", { class: "aim", "aria-hidden": "true" })),
    message,
    make("div", { class: "scan-actions" }, photo, make("label", { htmlFor: "photo", class: "button quiet" }, t.photo)),
  );
  if (!hasCamera()) {
    message.textContent = t.camera_missing;
    return undefined;
  }
  try {
    const stop = await watchCamera(video, openCode);
    video.hidden = false;
    message.textContent = t.camera_title;
    return stop;
  } catch {
    message.textContent = t.camera_refused;
    return undefined;
  }
}
