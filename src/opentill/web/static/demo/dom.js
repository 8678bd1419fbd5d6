// Making page elements, and writing money and times for people. Texts come from the page's own catalogue.

import { copyText } from "../copy.js";

export const config = JSON.parse(document.getElementById("config").textContent);
export const texts = config.texts;

/** An element. Properties are set as they are, `class` and names with a dash as attributes; falsy children are left out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !name.includes("-")) element[name] = value;
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A text of the catalogue with its {places} filled. */
export function say(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

/** Fen (a whole number) as yuan, without floating point. */
export function yuan(fen) {
  const digits = String(fen).padStart(3, "0");
  return `¥${digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ",")}.${digits.slice(-2)}`;
}

export function clockTime(atMs) {
  const at = new Date(Number(atMs));
  const two = (number, width = 2) => String(number).padStart(width, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
}

export function dateTime(atMs) {
  const at = new Date(Number(atMs));
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clockTime(atMs).slice(0, 8)}`;
}

/** A dark code panel with a title and a copy button. */
export function codeCard(title, text, ...extra) {
  const code = make("pre", { class: "code", tabIndex: 0, "aria-label": title }, text);
  return make(
    "div",
    { class: "code-card" },
    make("div", { class: "code-head" }, make("h4", {}, title), ...extra, copyButton(() => code.textContent)),
    code,
  );
}

export function card(title, badge, ...body) {
  return make(
    "section",
    { class: "card" },
    make("div", { class: "card-head" }, make("h3", {}, title), badge),
    make("div", { class: "card-body" }, ...body),
  );
}

function copyButton(read) {
  const button = make("button", { type: "button" }, texts.demo.copy_label);
  button.addEventListener("click", async () => {
    button.textContent = (await copyText(read())) ? texts.demo.copied : texts.demo.copy_failed;
    setTimeout(() => (button.textContent = texts.demo.copy_label), 1500);
  });
  return button;
}
