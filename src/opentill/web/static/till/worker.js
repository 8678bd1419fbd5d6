// Between the till's pages and the network, for when that fails. A page that cannot be fetched: `ANSWER`, written in
// front of this by the gateway, is shown instead. A page whose styles or scripts are cut off would be dead until somebody
// reloads it: they are fetched until they come. Nothing is cached, and all else goes its usual way.

const PATIENCE_MS = 15_000;
const UNREACHED = [502, 503, 504];
const PARTS = ["style", "script"];
const TRIES = 100;
const TRY_EVERY_MS = 500;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  if (event.request.mode === "navigate") event.respondWith(pageOf(event.request));
  else if (PARTS.includes(event.request.destination)) event.respondWith(partOf(event.request));
});

async function pageOf(request) {
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE_MS));
  const response = await Promise.race([fetch(request), late]).catch(() => null);
  if (isReached(response)) return response;
  return new Response(ANSWER.html, { status: 503, headers: ANSWER.headers });
}

async function partOf(request) {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(request).catch(() => null);
    if (isReached(response) || tries === TRIES) return response ?? Response.error();
    await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
  }
}

const isReached = (response) => response !== null && !UNREACHED.includes(response.status);
