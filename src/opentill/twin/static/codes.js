// Payment codes as customers show them: numbers, their bars (Code 128 C) and their QR code.

import { qrcode } from "./vendor/qrcode-generator/qrcode.js";
import { ALIPAY } from "./wallets.js";

const SVG = "http://www.w3.org/2000/svg";
const DIGITS = 18;

// What the twin's payers do is told by the last four digits of the code.
export const BEHAVIOURS = { pays: "", password: "0001", poor: "0002", unknown: "0003" };

/** A fresh number: Alipay's start with 25 to 30, WeChat Pay's with 10 to 15; 18 digits both. */
export function freshCode(wallet, behaviour) {
  const first = wallet === ALIPAY ? 25 + draw(6) : 10 + draw(6);
  const tail = BEHAVIOURS[behaviour];
  let middle = "";
  while (middle.length < DIGITS - 2 - tail.length) middle += draw(10);
  // A payer that simply pays must not end like one that does not.
  const isTaken = !tail && Object.values(BEHAVIOURS).includes(middle.slice(-4));
  return isTaken ? freshCode(wallet, behaviour) : `${first}${middle}${tail}`;
}

/** Groups of four, as wallets print them. */
export const grouped = (code) => code.replace(/(\d{4})(?=\d)/g, "$1 ");

export function drawQr(text) {
  const code = qrcode(0, "M");
  code.addData(text);
  code.make();
  const size = code.getModuleCount();
  let path = "";
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      if (code.isDark(row, column)) path += `M${column + 2} ${row + 2}h1v1h-1z`;
    }
  }
  return drawing(size + 4, size + 4, path);
}

/** Bars of an even number of digits. */
export function drawBars(digits) {
  const values = digits.match(/\d\d/g).map(Number);
  const checksum = values.reduce((sum, value, index) => sum + value * (index + 1), START_C) % 103;
  const widths = [START_C, ...values, checksum, STOP].map((value) => PATTERNS[value]).join("");
  let at = 10; // the quiet zone
  let path = "";
  [...widths].forEach((width, index) => {
    if (index % 2 === 0) path += `M${at} 0h${width}v40h-${width}z`;
    at += Number(width);
  });
  const svg = drawing(at + 10, 40, path);
  svg.setAttribute("preserveAspectRatio", "none");
  return svg;
}

function drawing(width, height, path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

const draw = (below) => crypto.getRandomValues(new Uint32Array(1))[0] % below;

const START_C = 105;
const STOP = 106;
// ISO/IEC 15417: widths of bars and spaces by value.
const PATTERNS = (
  "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 " +
  "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 " +
  "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 " +
  "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 " +
  "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 " +
  "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 " +
  "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
).split(" ");
