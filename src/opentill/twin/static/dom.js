// Making page elements, the texts of the reader's language, and money and times for people.

const LANGUAGE_COOKIE = "opentill_lang";
const LANGUAGES = ["zh", "en"];

export const language = chosenLanguage();
export const t = await (await fetch(new URL(`texts.${language}.json`, import.meta.url))).json();
document.documentElement.lang = t.language;

/** `?lang=`, else the cookie that the gateway's pages share, else Chinese. */
function chosenLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  if (LANGUAGES.includes(asked)) {
    document.cookie = `${LANGUAGE_COOKIE}=${asked}; path=/; max-age=31536000; samesite=lax`;
    return asked;
  }
  const cookie = document.cookie.match(new RegExp(`(?:^|; )${LANGUAGE_COOKIE}=(\\w+)`))?.[1];
  return LANGUAGES.includes(cookie) ? cookie : LANGUAGES[0];
}

/** An element. Properties are set as they are, `class` and names with a dash as attributes; falsy children are left out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
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

/** "12.3" yuan as fen; null when it is not an amount above zero. */
export function fenOf(yuanText) {
  const match = yuanText.trim().match(/^(\d{1,8})(?:\.(\d{1,2}))?$/);
  const fen = match ? Number(match[1] + (match[2] ?? "").padEnd(2, "0")) : 0;
  return fen > 0 ? fen : null;
}

export function dateTime(text) {
  const at = new Date(text);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function button(label, onclick, kind = "") {
  return make("button", { type: "button", class: `button ${kind}`, onclick }, label);
}

/** Name and value, line by line; lines without a value are left out. */
export function facts(lines) {
  const shown = lines.filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  return make("dl", { class: "facts" }, shown.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** Plain http on another machine has no clipboard API; there the selected text of a textarea is copied. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { value: text, class: "visually-hidden" });
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }
}

const ICONS = {
  home: "M4 11.5L12 5l8 6.5V20h-5.5v-5h-5v5H4z",
  scan: "M4 8V5.5A1.5 1.5 0 015.5 4H8M16 4h2.5A1.5 1.5 0 0120 5.5V8M20 16v2.5a1.5 1.5 0 01-1.5 1.5H16M8 20H5.5A1.5 1.5 0 014 18.5V16M4 12h16",
  code: "M4 6v12M7.5 6v12M10 6v12M13.5 6v12M16 6v12M20 6v12",
  bills: "M6 3.5h12V21l-3-1.8-3 1.8-3-1.8L6 21zM9 8.5h6M9 12.5h6",
  me: "M12 12a4 4 0 100-8 4 4 0 000 8zM4.5 20.5c.8-4 3.8-5.5 7.5-5.5s6.7 1.5 7.5 5.5",
  back: "M14.5 5l-7 7 7 7",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M7 7l10 10M17 7L7 17",
  link: "M10 14a4 4 0 006 .4l2.6-2.6a4 4 0 00-5.7-5.7l-1.4 1.4M14 10a4 4 0 00-6-.4l-2.6 2.6a4 4 0 005.7 5.7l1.4-1.4",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
