// An order as it is now: its state, what happened to it, and what the merchant was told.

import { card, clockTime, codeCard, config, dateTime, make, say, texts, yuan } from "./dom.js";
import { fieldTable, notificationFields, verification } from "./verify.js";

const t = texts.demo;

// protocol 4.8: orderStatus in replies. The tone colours it.
const STATES = {
  1: { text: t.state_waiting, tone: "accent" },
  2: { text: t.state_paid, tone: "good" },
  6: { text: t.state_part_refunded, tone: "warn" },
  7: { text: t.state_refunded, tone: "warn" },
  8: { text: t.state_reversed, tone: "bad" },
  9: { text: t.state_reversed, tone: "bad" },
  "-1": { text: t.state_closed, tone: "bad" },
  "-2": { text: t.state_failed, tone: "bad" },
};
const GOOD_EVENTS = ["PAID", "PAID_LATE", "REFUND_SUCCEEDED"];
const BAD_EVENTS = ["FAILED", "CLOSED", "REVERSED", "SURPLUS", "WRONG_AMOUNT", "REFUND_FAILED"];

export const isPaid = (order) => Boolean(order) && Number(order.paid_at_ms) > 0;

export function stateBadge(order) {
  const state = order ? STATES[order.status] : { text: t.state_none, tone: "" };
  return make("span", { class: `badge ${state.tone}` }, state.text);
}

/** The big sign that money has come, or has gone back: nobody should need to read anything else. */
export function moneySign(order) {
  const isRefunded = Number(order.refunded_fen) > 0;
  return make(
    "div",
    { class: isRefunded ? "money-sign refunded" : "money-sign paid" },
    make("span", { class: "money-mark", "aria-hidden": "true" }),
    make("strong", {}, isRefunded ? STATES[order.status].text : t.paid),
    make("span", { class: "money-amount" }, yuan(isRefunded ? order.refunded_fen : order.received_fen)),
    make("span", { class: "muted small" }, `${t[`wallet_${order.channel}`] ?? ""} · ${dateTime(order.paid_at_ms)}`),
  );
}

export function orderFacts(order) {
  const facts = [
    [t.amount, yuan(order.amount_fen)],
    isPaid(order) && [t.received, yuan(order.received_fen)],
    Number(order.discount_fen) > 0 && [t.discount, yuan(order.discount_fen)],
    Number(order.refunding_fen) > 0 && [t.state_refunding, yuan(order.refunding_fen)],
    Number(order.refunded_fen) > 0 && [t.refunded, yuan(order.refunded_fen)],
    [t.local_order_no, make("code", {}, order.local_order_no)],
    [t.order_no, make("code", {}, order.order_no)],
    order.channel_trade_no && [t.trade_no, make("code", {}, order.channel_trade_no)],
  ];
  return make("dl", { class: "facts" }, facts.filter(Boolean).map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** Events of the order and attempts to tell the merchant, in one run of time. */
export function timeline(snapshot) {
  const happened = snapshot.events.map((event) => ({
    at_ms: event.at_ms,
    what: texts.event[event.word] ?? event.kind,
    detail: eventDetail(event.detail),
    tone: GOOD_EVENTS.includes(event.kind) ? "good" : BAD_EVENTS.includes(event.kind) ? "bad" : "",
  }));
  for (const notification of snapshot.notifications) {
    for (const attempt of notification.attempts) happened.push(attemptEntry(attempt));
  }
  happened.sort((one, other) => one.at_ms - other.at_ms);
  return make("ol", { class: "timeline" }, happened.map(timelineItem));
}

export function notificationCard(snapshot, notifyUrl) {
  const received = snapshot.received.at(-1);
  const told = snapshot.notifications.at(-1);
  if (!received && !told) {
    const isElsewhere = notifyUrl && !notifyUrl.startsWith(config.receiver_url);
    return card(t.notification_title, null, make("p", { class: "muted" }, isElsewhere ? t.notification_elsewhere : t.notification_waiting));
  }
  const body = [told && deliveryLine(told)];
  let badge = null;
  if (received) {
    const signed = notificationFields(received.fields);
    const checked = verification(signed, received.fields.sign ?? "");
    badge = checked.badge;
    body.push(fieldTable(received.fields, signed), foldedSteps(checked.steps, codeCard(t.notification_raw, received.body)));
  } else {
    body.push(make("p", { class: "muted" }, t.notification_elsewhere));
  }
  return card(t.notification_title, badge, ...body);
}

export function foldedSteps(...children) {
  return make("details", {}, make("summary", {}, t.verify_steps), make("div", { class: "stack tight" }, ...children));
}

function eventDetail(detail) {
  const parts = [];
  if (detail.amount_fen) parts.push(yuan(detail.amount_fen));
  if (detail.source) parts.push(texts.source[detail.source] ?? detail.source);
  if (detail.message) parts.push(detail.message);
  if (detail.code && detail.code !== "OK") parts.push(detail.code);
  return parts.join(" · ");
}

function attemptEntry(attempt) {
  const [kind, ...words] = attempt.problem.split(": ");
  const problem = [texts.attempt_problem[kind] ?? kind, ...words].join(": ");
  const answer = attempt.status ? `HTTP ${attempt.status} · ${attempt.body.slice(0, 80)}` : problem;
  return {
    at_ms: attempt.at_ms,
    what: `${t.notification_sent} · ${say(t.delivery_attempt, { number: attempt.attempt })}`,
    detail: attempt.problem && attempt.status ? `${answer} · ${problem}` : answer,
    tone: attempt.problem ? "bad" : "good",
  };
}

function timelineItem(entry) {
  return make(
    "li",
    { class: entry.tone },
    make("span", { class: "what" }, entry.what),
    make("span", { class: "when" }, [clockTime(entry.at_ms), entry.detail].filter(Boolean).join(" · ")),
  );
}

function deliveryLine(told) {
  const [text, tone] = {
    DELIVERED: [t.delivery_delivered, "good"],
    DUE: [t.delivery_due, "warn"],
    DEAD: [t.delivery_dead, "bad"],
  }[told.state];
  const isRetrying = told.state === "DUE" && told.attempts.length > 0;
  return make(
    "p",
    { class: "delivery small" },
    make("span", { class: `badge ${tone}` }, text),
    isRetrying && make("span", {}, say(t.delivery_next, { time: clockTime(told.due_at_ms).slice(0, 8) })),
    make("code", { class: "muted" }, told.url),
  );
}
