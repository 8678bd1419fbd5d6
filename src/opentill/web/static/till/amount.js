// A new sale: the amount, what it is for, and how it is paid. What is typed survives a reload; so does a sale that was
// sent and not yet answered, under the same number.

import { barcodePanel } from "./barcode.js";
import { goodsForm } from "./goods.js";
import { listen, screenKeys } from "./keys.js";
import { newNumber, post, texts } from "./net.js";
import { problem } from "./main.js";
import { MOST_FEN, fenOf, shown, yuan } from "./money.js";

const DRAFT = "draft";
const SENT = "sent";
const LAST_WAY = "till.way";

/** What was typed for the last sale comes back: for a retry. */
export function keepDraftOf(number) {
  const last = read(SENT);
  if (last?.number === number) keepAs(DRAFT, last.draft);
}

export function amountScreen(root, go) {
  const display = root.querySelector("#amount");
  const warning = root.querySelector("#problem");
  const subject = root.querySelector("#subject");
  const desk = root.querySelector("#desk");
  const draft = { amount: "", subject: "", goods: [], ...read(DRAFT) };
  let isSending = false;

  const goods = goodsForm(root, draft.goods, (sum) => {
    draft.amount = sum ? `${Math.floor(sum / 100)}.${String(sum % 100).padStart(2, "0")}` : "";
    draw();
  });
  const panel = barcodePanel(root, { isReady, charge: (code) => send({ barcode: code }), amount: () => yuan(fenOf(draft.amount)).slice(1) });

  subject.value = draft.subject;
  subject.addEventListener("input", () => {
    draft.subject = subject.value;
    keep();
  });
  if (draft.subject || draft.goods.length) root.querySelector("#more").open = true;
  screenKeys(root, type);
  for (const button of root.querySelectorAll("[data-channel]")) {
    button.addEventListener("click", () => send({ channel: Number(button.dataset.channel) }));
  }
  const stopListening = listen({
    typed: (key) => (key === "enter" ? sendTheUsualWay() : type(key)),
    scanned: (code) => isReady() && send({ barcode: code }),
    isListening: () => !isSending && !desk.hidden,
  });
  draw();
  resume();

  function type(key) {
    warning.textContent = "";
    if (key === "clear") {
      draft.amount = "";
      goods.clear();
    } else if (key === "delete") {
      draft.amount = draft.amount.slice(0, -1);
    } else {
      const next = key === "." ? `${draft.amount || "0"}.` : `${draft.amount === "0" ? "" : draft.amount}${key}`;
      if (fenOf(next) === null) return;
      if (fenOf(next) > MOST_FEN) warning.textContent = texts().amount_too_large;
      else draft.amount = next;
    }
    draw();
  }

  function draw() {
    display.textContent = shown(draft.amount);
    display.parentElement.classList.toggle("is-empty", !fenOf(draft.amount));
    display.parentElement.classList.toggle("is-long", draft.amount.length > 8);
    keep();
  }

  function keep() {
    keepAs(DRAFT, { ...draft, goods: goods.lines() });
  }

  function isReady() {
    const isTyped = Boolean(fenOf(draft.amount));
    warning.textContent = isTyped ? "" : texts().amount_missing;
    return isTyped;
  }

  function sendTheUsualWay() {
    const ways = [...root.querySelectorAll("[data-channel]")];
    const usual = ways.find((way) => way.dataset.channel === localStorage.getItem(LAST_WAY)) ?? ways.at(-1);
    usual?.click();
  }

  async function send(way) {
    if (isSending || !isReady()) return;
    if ("channel" in way) localStorage.setItem(LAST_WAY, String(way.channel));
    const kept = { ...draft, goods: goods.lines() };
    const request = {
      number: newNumber(),
      amount: String(fenOf(draft.amount)),
      subject: draft.subject,
      goods: goods.asText(),
      ...way,
    };
    keepAs(SENT, { number: request.number, draft: kept, request });
    await deliver(request);
  }

  /** Sent until it is answered: the number makes repeats harmless. */
  async function deliver(request) {
    isSending = true;
    panel.stop();
    const sending = root.querySelector("#sending");
    sending.hidden = false;
    try {
      const answer = await post("/cashier/sales", request);
      settle(request.number);
      // Elsewhere than at its sale: the session had ended, nothing was sold, and what was typed is still wanted.
      if (answer.go.endsWith(request.number)) sessionStorage.removeItem(keyOf(DRAFT));
      go(answer.go);
    } catch (refused) {
      settle(request.number);
      panel.close();
      sending.hidden = true;
      isSending = false;
      problem(warning, refused);
    }
  }

  /** A reload came between a sale and its answer. */
  function resume() {
    const last = read(SENT);
    if (last?.request) deliver(last.request);
  }

  return () => {
    stopListening();
    panel.stop();
  };
}

/** The sale is answered: only what was typed is remembered, for a retry. */
function settle(number) {
  const last = read(SENT);
  if (last?.number === number) keepAs(SENT, { number, draft: last.draft });
}

/** Each shift has its own: what one cashier typed or sent is none of the next one's business. */
const keyOf = (name) => `till.${name}.${document.querySelector(".till-screen").dataset.shift}`;

const keepAs = (name, value) => sessionStorage.setItem(keyOf(name), JSON.stringify(value));

function read(name) {
  return JSON.parse(sessionStorage.getItem(keyOf(name)) ?? "null");
}
