// A sale on the screen, followed until nothing moves any more: asked for often, so that "paid" shows within a second of
// the wallet's word, and asked again after every cut.

import { keepDraftOf } from "./amount.js";
import { post, say, texts, tryOnce } from "./net.js";
import { problem } from "./main.js";
import { printing } from "./paper.js";
import { hold, isHeld } from "./press.js";
import { refundForm } from "./refund.js";
import { soundFailed, soundPaid } from "./sound.js";

const LOOK_MS = 600;
const LOOK_SETTLED_MS = 5000;
// A network that swallows everything is given up soon: the next look may take another way.
const LOOK_PATIENCE_MS = 5000;
// The wallet itself is asked too: its word may be lost on the way to us.
const ASK_MS = { waiting: 8000, confirming: 2500, checking: 5000, opening: 5000, cancelling: 5000 };
const JUST_PAID_MS = 10_000;
const PAID = ["paid", "part_refunded", "refunded"];

export function saleScreen(root, go) {
  const holder = root.querySelector("#sale");
  const url = `/cashier/sale/${holder.dataset.number}`;
  let isOver = false;
  let looking = 0;
  let ticking = 0;
  let askedAt = performance.now();
  let isBusy = false;

  const body = () => holder.firstElementChild;
  const status = () => body().dataset.status;

  async function look() {
    clearTimeout(looking);
    if (isOver || isBusy) return;
    isBusy = true;
    try {
      const response = await tryOnce(`${url}/live?seen=${body().dataset.version}`, {}, LOOK_PATIENCE_MS);
      if (response.status === 401) return void go("/cashier/");
      const told = response.ok ? await response.json() : {};
      if (told.html && !isOver) show(told);
    } catch {
      // No network: the banner says so, and the next look finds out.
    } finally {
      isBusy = false;
      if (!isOver) looking = setTimeout(look, body().dataset.settled === "1" ? LOOK_SETTLED_MS : LOOK_MS);
    }
    ask();
  }

  function ask() {
    const everyMs = ASK_MS[status()];
    if (isOver || !everyMs || performance.now() - askedAt < everyMs) return;
    askedAt = performance.now();
    // A cancel without a clear answer is asked for again; all else is only asked about.
    post(`${url}/${status() === "cancelling" ? "cancel" : "ask"}`).catch(() => {});
  }

  function show(told) {
    const before = status();
    holder.innerHTML = told.html;
    begin();
    if (told.status === before) return;
    // A second click on "Cancel" must not put a sale aside that turns out to be paid.
    holder.querySelectorAll(".sale-state button").forEach(hold);
    announce(told.status, before);
  }

  function announce(now, before) {
    const said = document.getElementById("said");
    if (PAID.includes(now) && !PAID.includes(before)) {
      said.textContent = say(texts().said_paid, { amount: holder.querySelector(".sale-sum").textContent });
      soundPaid();
      if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(120);
    } else if (now === "failed") {
      said.textContent = texts().said_failed;
      soundFailed();
    } else {
      said.textContent = holder.querySelector("#state")?.textContent ?? "";
    }
    holder.querySelector("[data-next]")?.focus({ preventScroll: true });
  }

  function begin() {
    const endsAt = performance.now() + Number(body().dataset.leftMs);
    const wholeMs = Number(body().dataset.wholeMs);
    clearInterval(ticking);
    const clock = holder.querySelector(".sale-clock");
    const tick = () => {
      const leftMs = Math.max(0, endsAt - performance.now());
      const seconds = Math.ceil(leftMs / 1000);
      clock.querySelector("time").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      clock.querySelector(".bar span").style.width = `${Math.min(100, (leftMs / wholeMs) * 100)}%`;
      clock.classList.toggle("is-short", leftMs < 60_000);
    };
    if (clock) {
      tick();
      ticking = setInterval(tick, 500);
    }
    holder.querySelector("#cancel")?.addEventListener("click", cancel);
    for (const button of holder.querySelectorAll("[data-next]")) button.addEventListener("click", () => next(button));
    printing(holder);
    refundForm(holder, url, () => {
      window.scrollTo(0, 0);
      look();
    });
  }

  async function cancel(event) {
    const button = event.currentTarget;
    if (isHeld(button)) return;
    button.disabled = true;
    try {
      await post(`${url}/cancel`);
    } catch (refused) {
      problem(null, refused);
      button.disabled = refused.status === 403; // then the page is drawn anew
    }
    askedAt = performance.now();
    look();
  }

  async function next(button) {
    if (isHeld(button)) return;
    button.disabled = true;
    if (button.dataset.next === "again") keepDraftOf(holder.dataset.number);
    try {
      const answer = await post(`${url}/dismiss`);
      go(answer.go);
    } catch (refused) {
      problem(null, refused);
      button.disabled = refused.status === 403; // then the page is drawn anew
      look();
    }
  }

  const wake = () => !document.hidden && look();
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("online", wake);
  begin();
  const paidAgoMs = Number(body().dataset.paidAgoMs);
  if (paidAgoMs >= 0 && paidAgoMs < JUST_PAID_MS) announce(status(), "");
  else if (body().classList.contains("current") && status() === "failed") announce("failed", "");
  holder.querySelector("[data-next]")?.focus({ preventScroll: true });
  look();
  return () => {
    isOver = true;
    clearTimeout(looking);
    clearInterval(ticking);
    document.removeEventListener("visibilitychange", wake);
    window.removeEventListener("online", wake);
  };
}
