// Talking to the gateway over a network that comes and goes. Whatever is repeated here is safe to repeat: each sale and
// each refund carries a number of its own.

const PATIENCE_MS = 15_000;
const FIRST_WAIT_MS = 700;
const LONGEST_WAIT_MS = 4000;

const banner = document.getElementById("connection");
let isConnected = true;
let hiding = 0;

/** A refusal with words for the cashier. */
export class Refused extends Error {
  constructor(answer, status) {
    super(answer.problem ?? "");
    this.problem = answer.name ?? "";
    this.status = status;
  }
}

export const texts = () => JSON.parse(document.querySelector("[data-texts]").textContent);

/** A text with its {places} filled. */
export const say = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

/** One try. Throws TypeError or AbortError when there is no network; shows and hides the banner. */
export async function tryOnce(url, options = {}, patienceMs = PATIENCE_MS) {
  try {
    const response = await fetch(url, { cache: "no-store", ...options, signal: AbortSignal.timeout(patienceMs) });
    connected(response.status !== 503, response.status === 503 ? "busy" : "offline");
    return response;
  } catch (error) {
    connected(false, "offline");
    throw error;
  }
}

/** Tries until the gateway has answered; `isOver` tells that nobody waits any more (the answer is null then). */
export async function untilAnswered(url, options = {}, isOver = () => false) {
  for (let waitMs = FIRST_WAIT_MS; !isOver(); waitMs = Math.min(waitMs * 1.6, LONGEST_WAIT_MS)) {
    const response = await tryOnce(url, options).catch(() => null);
    if (response && response.status !== 503) return response;
    await sleep(waitMs);
  }
  return null;
}

/** POST an object, again and again until it is answered. Throws Refused. */
export const post = async (url, values = {}) => read(await untilAnswered(url, asPost(values)));

/** POST an object once. Throws Refused, also when nobody answers. */
export async function postOnce(url, values = {}) {
  const response = await tryOnce(url, asPost(values)).catch(() => null);
  if (!response || response.status === 503) throw new Refused({ problem: texts().network, name: "network" }, 0);
  return read(response);
}

async function read(response) {
  const answer = await response.json().catch(() => ({}));
  if (response.ok || (response.status === 401 && answer.go)) return answer;
  throw new Refused(answer, response.status);
}

function asPost(values) {
  const screen = document.querySelector(".till-screen");
  const headers = { "Content-Type": "application/json", "X-Till-Token": screen.dataset.csrf };
  return { method: "POST", headers, body: JSON.stringify(values) };
}

/** 128 random bits in hex: what a sale or a refund is known by before the gateway has heard of it. */
export function newNumber() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const sleep = (ms) =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    // Back online: no need to wait any longer.
    window.addEventListener("online", done, { once: true });
    function done() {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      resolve();
    }
  });

function connected(isNow, why) {
  if (isNow === isConnected) return;
  isConnected = isNow;
  clearTimeout(hiding);
  banner.hidden = false;
  banner.classList.toggle("good", isNow);
  banner.textContent = isNow ? texts().online : texts()[why];
  if (isNow) hiding = setTimeout(() => (banner.hidden = true), 2500);
}

window.addEventListener("offline", () => connected(false, "offline"));
