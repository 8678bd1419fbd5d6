// The till's one document: screens are fetched and put in place, so that sound, camera permission and the banner about
// the network live through a whole shift.

import { amountScreen } from "./amount.js";
import { ordersScreen } from "./orders.js";
import { pairScreen } from "./pair.js";
import { saleScreen } from "./sale.js";
import { shiftScreen } from "./shift.js";
import { signInScreen } from "./signin.js";
import { post, postOnce, texts, tryOnce, untilAnswered } from "./net.js";
import { soundButton } from "./sound.js";

const PULSE_MS = 5000;
const SCREENS = { amount: amountScreen, orders: ordersScreen, pair: pairScreen, sale: saleScreen, shift: shiftScreen, signin: signInScreen };

const root = document.getElementById("root");
let leave = () => {};
let turn = 0;

/** Show another screen. Waits for the network as long as it takes, unless somebody goes elsewhere meanwhile. */
export async function go(url, { isReplacing = false, isBack = false } = {}) {
  turn += 1;
  const mine = turn;
  const response = await untilAnswered(url, { headers: { "X-Till-Part": "1" } }, () => mine !== turn);
  if (!response || mine !== turn) return;
  const html = await response.text();
  if (!html.includes("till-screen")) return location.reload();
  const shown = new URL(response.url);
  if (!isBack) history[isReplacing ? "replaceState" : "pushState"](null, "", shown.pathname + shown.search);
  leave();
  root.innerHTML = html;
  window.scrollTo(0, 0);
  begin();
  // A screen that knows where its first key belongs has put the focus there.
  if (!root.contains(document.activeElement)) document.getElementById("main").focus({ preventScroll: true });
}

function begin() {
  const screen = root.querySelector(".till-screen");
  document.title = `${screen.dataset.title} · OpenTill`;
  document.documentElement.lang = screen.dataset.language === "zh" ? "zh-CN" : "en";
  soundButton(root.querySelector("[data-sound]"));
  const more = SCREENS[screen.dataset.screen]?.(root, go);
  // A session that ended, or a device that was disabled, shows without anybody pressing anything.
  const pulse = root.querySelector(".till-tabs") ? setInterval(async () => {
    const response = await tryOnce("/cashier/pulse").catch(() => null);
    if (response?.status === 401) go("/cashier/");
  }, PULSE_MS) : 0;
  leave = () => {
    clearInterval(pulse);
    more?.();
  };
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-go]");
  if (link && !(event.ctrlKey || event.metaKey || event.shiftKey || event.button)) {
    event.preventDefault();
    go(link.href);
  }
  const button = event.target.closest("[data-post]");
  if (button) {
    button.disabled = true;
    try {
      // Pairing makes something new each time: it is not repeated by itself.
      const answer = await (button.dataset.post.includes("pair") ? postOnce : post)(button.dataset.post);
      if (answer.go) go(answer.go);
    } catch (refused) {
      problem(root.querySelector(".till-problem"), refused);
    } finally {
      button.disabled = false;
    }
  }
});

/** Show why something was refused. A page that is too old is drawn anew. */
export function problem(place, refused) {
  if (refused.status === 403) location.reload();
  else if (place) place.textContent = refused.message || texts().network;
}

// So that a reload without a network is answered by a page of ours; only on https and on this machine, says the browser.
navigator.serviceWorker?.register(`/cashier/worker.js?lang=${root.firstElementChild.dataset.language}`).catch(() => {});

window.addEventListener("popstate", () => go(location.href, { isBack: true }));

begin();
