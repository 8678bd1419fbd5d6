// Between the till's pages and the network, for one case: a page that cannot be fetched. `ANSWER`, written in front of
// this by the gateway, is shown instead; nothing is cached, and all that is no page goes its usual way.

const PATIENCE_MS = 15_000;
const UNREACHED = [502, 503, 504];

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.mode === "navigate" && event.request.method === "GET") event.respondWith(pageOf(event.request));
});

async function pageOf(request) {
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE_MS));
  const response = await Promise.race([fetch(request), late]).catch(() => null);
  if (response && !UNREACHED.includes(response.status)) return response;
  return new Response(ANSWER.html, { status: 503, headers: ANSWER.headers });
}
