// The demo page: the form on one side, what follows from it on the other, and what the gateway answers below.

import { fieldsToSign, signRequest, stringToSign } from "../opentill-sign.js";
import { card, codeCard, config, make, say, texts } from "./dom.js";
import { followClock, prepareForm, readForm, readKey, rememberOrder, renewNumber, showSign, typedSign } from "./form.js";
import { foldedSteps, isPaid, moneySign, notificationCard, orderFacts, stateBadge, timeline } from "./order.js";
import { closePanel, opensPanel } from "./phone-panel.js";
import { drawQr } from "./qr.js";
import { asCurl, asHttp, send } from "./request.js";
import { fieldTable, signedFields, verification } from "./verify.js";
import { watchOrder, watchThroughGateway } from "./watch.js";

const t = texts.demo;
const gatewayUrl = new URL(config.gateway_path, location.href).href;
const at = (id) => document.getElementById(id);
const part = (kind, text) => make("span", { class: kind }, text);

let isKeyMasked = false;
let requestForm = "http";
let stopWatching = () => {};

prepareForm(explain);
explain();
setInterval(() => { followClock(); explain(); }, 30_000);

at("mask-key").addEventListener("click", () => {
  isKeyMasked = !isKeyMasked;
  at("mask-key").textContent = isKeyMasked ? t.show_key : t.hide_key;
  at("mask-key").setAttribute("aria-pressed", String(isKeyMasked));
  at("field-key").type = isKeyMasked ? "password" : "text";
  explain();
});
for (const button of document.querySelectorAll("[data-request-form]")) {
  button.addEventListener("click", () => {
    requestForm = button.dataset.requestForm;
    for (const each of document.querySelectorAll("[data-request-form]")) {
      each.setAttribute("aria-pressed", String(each === button));
    }
    explain();
  });
}
at("request-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sendRequest();
});

/** The form with its signature, as it will be sent. */
function signedForm() {
  const form = readForm();
  return { ...form, sign: typedSign() ?? signRequest(form, config.signed, readKey(), globalThis.md5) };
}

/** Steps 1 to 3, anew after every edit. */
function explain() {
  const form = signedForm();
  const fields = fieldsToSign(form, config.signed);
  const pairs = stringToSign(fields).length
    ? Object.keys(fields).sort().flatMap((name) => [part("n", name), part("p", "="), part("v", fields[name]), part("p", "&")])
    : [];
  const key = isKeyMasked ? "•".repeat(8) : readKey();
  at("string-to-sign").replaceChildren(...pairs, ...(pairs.length ? [] : [part("p", "&")]), part("k", "key="), part("k", key));
  at("sign").replaceChildren(part("v", form.sign));
  at("request").textContent = requestForm === "http" ? asHttp(gatewayUrl, form) : asCurl(gatewayUrl, form);
  showSign(form.sign);
  showLeftOut(fields);
}

/** The parameters that the signature does not cover, and why. */
function showLeftOut(fields) {
  const names = [...document.querySelectorAll(".field[data-field]")].map((field) => field.dataset.field);
  const leftOut = names.filter((name) => name !== "key" && !(name in fields));
  const line = (reason, some) =>
    some.length > 0 && make("span", {}, `${reason}: `, some.map((name, index) => [index > 0 && ", ", make("code", {}, name)]));
  at("left-out").replaceChildren(
    make("strong", {}, t.left_out),
    ...[
      line(t.left_out_empty, leftOut.filter((name) => config.signed.includes(name))),
      line(t.left_out_unsigned, leftOut.filter((name) => !config.signed.includes(name))),
    ].filter(Boolean),
  );
}

async function sendRequest() {
  followClock();
  explain();
  const form = signedForm();
  setSending(true);
  stopWatching();
  at("refusal").replaceChildren();
  try {
    showAnswer(form, await send(gatewayUrl, form));
  } catch (error) {
    clearResult();
    refuse(say(t.unreachable, { reason: error.message }), "", t.unreachable_advice);
  } finally {
    setSending(false);
    document.body.classList.add("has-result");
    at("result").scrollIntoView();
    at("result").focus({ preventScroll: true });
  }
}

function setSending(isSending) {
  for (const button of document.querySelectorAll("button[type=submit]")) button.disabled = isSending;
}

function clearResult() {
  closePanel();
  at("placeholder").hidden = true;
  at("outcome").hidden = true;
  at("payment-column").replaceChildren();
  at("reply-column").replaceChildren();
}

function showAnswer(form, answer) {
  clearResult();
  at("outcome").hidden = false;
  const { reply } = answer;
  const sent = make("span", { class: "badge" }, `HTTP ${answer.status} · ${answer.elapsedMs} ms`);
  const raw = codeCard(t.reply_sent, reply ? JSON.stringify(reply, null, 2) : answer.text);
  if (!reply?.result.success) {
    const title = reply ? `${say(t.error_title, { number: reply.result.errorCode })}: ${reply.result.errorMsg}` : t.unreadable;
    refuse(title, reply?.result.errorCode, config.advice[reply?.result.errorCode] ?? t.unreachable_advice);
    at("reply-column").append(card(t.reply_title, sent, raw));
    return;
  }
  const signed = signedFields(reply.data, config.reply_signed);
  const checked = verification(signed, reply.data.sign);
  at("reply-column").append(
    card(t.reply_title, sent, raw),
    card(t.verify_title, checked.badge, fieldTable(reply.data, signed), foldedSteps(checked.steps)),
  );
  followOrder(form, reply.data);
}

/** A refusal says its number, the message as it is on the wire, and what to do about it. */
function refuse(title, number, advice) {
  const retry = number === "60" && config.makes_order
    ? make("button", { type: "button", class: "button quiet" }, t.renew)
    : null;
  retry?.addEventListener("click", () => { renewNumber(); sendRequest(); });
  // Behind the #, so that no server sees it before the developer sends it.
  const why = number === "22"
    ? make("a", { href: `/test/api/sign.htm#${new URLSearchParams(signedForm())}` }, texts.debugger.link)
    : null;
  at("refusal").replaceChildren(
    make("div", { class: "alert bad" }, make("h3", {}, title), make("p", {}, make("strong", {}, `${t.error_what}: `), advice), retry && make("p", {}, retry), why && make("p", {}, why)),
  );
}

function followOrder(form, data) {
  const localOrderNo = config.makes_order ? data.localOrderNo : form.local_order_no;
  if (localOrderNo) rememberOrder(localOrderNo);
  const payment = make("div", { class: "stack" });
  const notified = make("div");
  at("payment-column").append(payment);
  at("reply-column").append(notified);
  const code = data.qrCode ?? data.url;
  const pay = code ? payBox(code, Boolean(data.url)) : null;
  const query = form.order_no && !config.makes_order ? { order_no: form.order_no } : { local_order_no: localOrderNo };
  // What did not change is not drawn again: somebody may be reading it.
  const ifChanged = (draw) => {
    let latest = "";
    return (snapshot, ...more) => {
      const text = JSON.stringify(snapshot);
      if (text !== latest) draw(snapshot, ...more);
      latest = text;
    };
  };
  const showOrder = ifChanged((snapshot, how) => drawOrder(payment, snapshot, { how, pay }));
  const showNotified = ifChanged((snapshot) => notified.replaceChildren(notificationCard(snapshot, form.notify_url)));
  const show = (snapshot, how) => {
    showOrder(snapshot, how);
    if (config.is_sandbox) showNotified({ notifications: snapshot.notifications, received: snapshot.received });
  };
  stopWatching = config.is_sandbox
    ? watchOrder({ app: form.app, ...query }, show)
    : watchThroughGateway({ url: gatewayUrl, form, query, key: readKey() }, show);
}

function drawOrder(place, snapshot, { how, pay }) {
  const { order } = snapshot;
  const badge = make("span", { role: "status" }, stateBadge(order));
  const isWaiting = !order || order.status === "1";
  const main = isPaid(order) ? moneySign(order) : isWaiting ? pay : null;
  const cards = [card(main === pay && pay ? t.pay_title : t.order_title, badge, main, order && orderFacts(order))];
  if (snapshot.events.length) {
    const live = make("span", { class: "badge live" }, how === "live" ? t.live : t.polling);
    cards.push(card(t.timeline_title, live, timeline(snapshot)));
  }
  if (order && !isWaiting) cards.push(nextSteps(order));
  place.replaceChildren(...cards);
}

function payBox(code, isLink) {
  const box = make("div", { class: "pay-box" });
  try {
    box.append(make("div", { class: "qr" }, drawQr(code, say(t.qr_label, { text: code }))));
  } catch {
    box.append(make("p", {}, t.too_long));
  }
  const text = isLink ? t.url_text : config.is_sandbox ? t.pay_text : t.pay_text_live;
  box.append(make("p", { class: "muted small" }, text), make("code", { class: "qr-text" }, code));
  const href = isLink ? code : config.phone_url && `${config.phone_url}?qr=${encodeURIComponent(code)}`;
  if (href) {
    const link = { class: "button", href, target: "_blank", rel: "noopener", id: "open-phone" };
    const opener = make("a", link, isLink ? t.open_link : t.open_phone);
    box.append(isLink ? opener : opensPanel(opener));
  }
  return box;
}

/** What one may do with an order that is settled: the other interfaces, with its number filled in. */
function nextSteps(order) {
  const links = ["open.pay.query", "open.pay.refund", "open.pay.reverse"]
    .filter((command) => config.pages[command] && command !== config.command)
    .map((command) => {
      const href = `${config.pages[command].url}?local_order_no=${encodeURIComponent(order.local_order_no)}`;
      return make("a", { class: "button quiet", href }, config.pages[command].title);
    });
  const again = config.makes_order && make("button", { type: "button", class: "button quiet" }, t.again);
  if (again) {
    again.addEventListener("click", () => {
      renewNumber();
      followClock();
      explain();
      window.scrollTo(0, 0);
    });
  }
  return card(t.next_title, null, make("p", { class: "actions" }, links, again));
}
