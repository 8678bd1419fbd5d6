// While the browser downloads the file, say how far the server is. Without this the download works all the same.

const EVERY_MS = 1000;
const form = document.getElementById("export");
const progress = document.getElementById("progress");
const id = form.elements.namedItem("export_id");
let timer = 0;

async function look(exportId) {
  const reply = await fetch(`/console/orders/exports?id=${exportId}`);
  if (!reply.ok) return;
  progress.innerHTML = await reply.text();
  const state = progress.querySelector("[data-state]")?.dataset.state;
  if (state === "done" || state === "failed") return;
  timer = setTimeout(() => look(exportId), EVERY_MS);
}

form.addEventListener("submit", () => {
  clearTimeout(timer);
  const exportId = id.value;
  timer = setTimeout(() => {
    // The next click is another export.
    id.value = String(crypto.getRandomValues(new Uint32Array(1))[0] * 65536 + 1);
    look(exportId);
  }, 300);
});
