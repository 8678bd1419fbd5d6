// A QR code as an SVG, one path, sharp at every size.

import { qrcode } from "../vendor/qrcode-generator/qrcode.js";

const SVG = "http://www.w3.org/2000/svg";
const QUIET_MODULES = 4; // the empty margin that scanners need

qrcode.stringToBytes = (text) => [...new TextEncoder().encode(text)];

/** Throws when the text is too long for a QR code. */
export function drawQr(text, label) {
  const code = qrcode(0, "M");
  code.addData(text);
  code.make();
  const size = code.getModuleCount();
  let path = "";
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      if (code.isDark(row, column)) path += `M${column + QUIET_MODULES} ${row + QUIET_MODULES}h1v1h-1z`;
    }
  }
  const whole = size + 2 * QUIET_MODULES;
  const svg = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: `0 0 ${whole} ${whole}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  // Dark on white in both themes: many scanners refuse an inverted code.
  svg.append(shape("rect", { width: whole, height: whole, fill: "#fff" }), shape("path", { d: path, fill: "#000" }));
  return svg;
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
