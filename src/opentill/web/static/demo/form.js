// The form: what it holds, and the fields that fill themselves until somebody edits them.

import { config, make, texts, yuan } from "./dom.js";
import { opensPanel } from "./phone-panel.js";

const LAST_ORDER = "opentill.last-order";
const form = document.getElementById("request-form");
const edited = new Set();

// The page says what time the gateway has: a wrong clock on this machine, or a moved one there, does no harm.
const aheadMs = config.now_ms - Date.now();

/** Everything that will be sent but `sign`: parameters without a value are left out. */
export function readForm() {
  const entries = [...new FormData(form)].filter(([name, value]) => name !== "sign" && value !== "");
  return Object.fromEntries(entries);
}

export const readKey = () => document.getElementById("field-key").value;

/** What the sign field holds when somebody typed a signature of his own. */
export const typedSign = () => (edited.has("sign") ? input("sign").value : null);

export const nowMs = () => Date.now() + aheadMs;

export function showSign(sign) {
  if (!edited.has("sign")) input("sign").value = sign;
}

/** The timestamp follows the clock until it is edited. */
export function followClock() {
  if (input("timestamp") && !edited.has("timestamp")) input("timestamp").value = String(nowMs());
}

export function renewNumber() {
  input("local_order_no").value = freshNumber();
}

/** Remember the order for the pages that ask about one, in this tab only. */
export function rememberOrder(localOrderNo) {
  sessionStorage.setItem(LAST_ORDER, localOrderNo);
}

/** Fill what depends on this moment, attach the small tools, and call `changed` after every edit. */
export function prepareForm(changed) {
  prefill();
  followClock();
  addTools(changed);
  form.addEventListener("input", (event) => {
    const { name } = event.target;
    if (name === "timestamp" || name === "sign") setEdited(name, true);
    else followClock();
    changed();
  });
  if (window.matchMedia("(max-width: 47.99rem)").matches) {
    for (const group of form.querySelectorAll("details")) group.open = false;
  }
}

function prefill() {
  if (input("local_order_no") && !input("local_order_no").value) {
    input("local_order_no").value = config.makes_order ? freshNumber() : (sessionStorage.getItem(LAST_ORDER) ?? "");
  }
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name);
    if (field && name !== "lang") field.value = value;
  }
}

/** demo + date and time + four random digits: new at every call, and readable. */
function freshNumber() {
  const at = new Date(nowMs() - new Date().getTimezoneOffset() * 60_000).toISOString().replace(/\D/g, "").slice(0, 14);
  return `demo${at}${String(Math.floor(Math.random() * 10_000)).padStart(4, "0")}`;
}

function addTools(changed) {
  const act = (work) => () => {
    work();
    changed();
  };
  if (config.makes_order) addTool("local_order_no", texts.demo.renew, act(renewNumber));
  addTool("timestamp", texts.demo.follow_clock, act(() => { setEdited("timestamp", false); followClock(); }), true);
  addTool("sign", texts.demo.recompute, act(() => setEdited("sign", false)), true);
  if (config.receiver_url && input("notify_url")) addReceiverTool(act);
  if (config.phone_url && input("barcode")) {
    const link = make("a", { href: `${config.phone_url}#code`, target: "_blank" }, texts.demo.barcode_open);
    foot("barcode").append(opensPanel(link));
  }
  for (const name of ["amount", "un_discount_amount", "refund_amount"]) {
    if (!input(name)) continue;
    const shown = make("span");
    foot(name).append(shown);
    const show = () => (shown.textContent = /^\d{1,19}$/.test(input(name).value) ? `= ${yuan(BigInt(input(name).value))}` : "");
    input(name).addEventListener("input", show);
    show();
  }
}

function addReceiverTool(act) {
  const wrong = `${config.receiver_url}?answer=fail`;
  const toggle = make("button", { type: "button", class: "link-button" });
  const label = () => {
    toggle.textContent = input("notify_url").value === wrong ? texts.demo.answer_success : texts.demo.answer_other;
  };
  toggle.addEventListener("click", act(() => {
    input("notify_url").value = input("notify_url").value === wrong ? config.receiver_url : wrong;
    label();
  }));
  foot("notify_url").append(toggle);
  label();
}

function addTool(name, label, click, isHidden = false) {
  if (!input(name)) return;
  const button = make("button", { type: "button", class: "link-button", hidden: isHidden }, label);
  button.dataset.tool = name;
  button.addEventListener("click", click);
  foot(name).append(button);
}

function setEdited(name, isEdited) {
  if (isEdited) edited.add(name);
  else edited.delete(name);
  const tool = form.querySelector(`[data-tool="${name}"]`);
  if (tool) tool.hidden = !isEdited;
}

const input = (name) => document.getElementById(`field-${name}`);
const foot = (name) => form.querySelector(`[data-foot="${name}"]`);
