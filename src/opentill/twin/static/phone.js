// The phone: one page with a few screens, chosen by the part of the address after #.

import { icon, language, make, t } from "./dom.js";
import { showBill, showBills } from "./bills.js";
import { showCode } from "./code-screen.js";
import { showHome, showMe } from "./home.js";
import { showPay } from "./pay.js";
import { showPassword } from "./password.js";
import { showScan } from "./scan-screen.js";

const SCREENS = {
  home: showHome,
  scan: showScan,
  pay: showPay,
  code: showCode,
  password: showPassword,
  bills: showBills,
  bill: showBill,
  me: showMe,
};
const TABS = ["home", "code", "bills", "me"];

const screen = document.getElementById("screen");
let leave = () => {};

document.title = t.title;
openAddress();
window.addEventListener("hashchange", show);
show();

/** `?qr=` (or `?code=`) opens a code at once; the address then forgets it, so that reloading does not pay twice. */
function openAddress() {
  const url = new URL(location.href);
  const code = url.searchParams.get("qr") ?? url.searchParams.get("code");
  if (code) url.hash = `pay/${encodeURIComponent(code)}`;
  for (const name of ["qr", "code", "lang"]) url.searchParams.delete(name);
  history.replaceState(null, "", url);
}

/** `#name/argument`. A screen draws itself and may answer a function that ends what it began. */
async function show() {
  const [name, argument = ""] = location.hash.slice(1).split("/");
  const draw = SCREENS[name] ?? showHome;
  leave();
  leave = () => {};
  screen.replaceChildren();
  screen.className = `screen ${SCREENS[name] ? name : "home"}`;
  screen.scrollTop = 0;
  drawTabs(SCREENS[name] ? name : "home");
  const hash = location.hash;
  const end = await draw(screen, decodeURIComponent(argument));
  if (hash === location.hash) leave = end ?? (() => {});
  else end?.();
}

function drawTabs(current) {
  const tabs = document.getElementById("tabs");
  tabs.hidden = !TABS.includes(current);
  tabs.setAttribute("aria-label", t.tabs);
  const links = TABS.map((name) =>
    make("a", { href: `#${name}`, "aria-current": name === current && "page" }, icon(name), make("span", {}, t[name])),
  );
  tabs.replaceChildren(...links);
  document.documentElement.dataset.language = language;
}
