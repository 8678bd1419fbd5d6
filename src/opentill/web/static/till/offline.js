// Goes back to the till as soon as the gateway answers. Part of the page itself: nothing else can be fetched now.

const WAIT_MS = 3000;
const PATIENCE_MS = 10_000;

const said = document.getElementById("said");
let timer = 0;
let isTrying = false;

async function attempt() {
  clearTimeout(timer);
  if (isTrying) return;
  isTrying = true;
  said.textContent = said.dataset.trying;
  try {
    const response = await fetch("/cashier/pulse", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status < 500) return location.reload();
  } catch {
    // Still nobody there.
  }
  isTrying = false;
  said.textContent = said.dataset.waiting;
  timer = setTimeout(attempt, WAIT_MS);
}

document.getElementById("retry").addEventListener("click", attempt);
window.addEventListener("online", attempt);
timer = setTimeout(attempt, WAIT_MS);
