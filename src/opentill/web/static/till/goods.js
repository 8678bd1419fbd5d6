// Items of a sale: each line is a name, a unit price and a quantity; together they are the amount.

import { say, texts } from "./net.js";
import { fenOf, times, yuan } from "./money.js";

export function goodsForm(root, kept, changed) {
  const form = root.querySelector("#goods-form");
  const list = root.querySelector("#goods-lines");
  const warning = root.querySelector("#goods-problem");
  const count = root.querySelector("#goods-count");
  const [name, price, quantity] = ["name", "price", "quantity"].map((each) => root.querySelector(`#goods-${each}`));
  let lines = [...(kept ?? [])];

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fen = fenOf(price.value);
    const total = fen === null ? null : times(quantity.value, fen);
    warning.textContent = name.value.trim() && total ? "" : texts().goods_wrong;
    if (warning.textContent) return;
    lines.push({ name: name.value.trim(), fen, quantity: quantity.value.trim() });
    name.value = price.value = "";
    quantity.value = "1";
    name.focus();
    draw();
    changed(sum());
  });

  function sum() {
    return lines.reduce((total, line) => total + times(line.quantity, line.fen), 0);
  }

  function draw() {
    count.textContent = lines.length ? ` · ${lines.length}` : "";
    list.replaceChildren(
      ...lines.map((line, place) => {
        const item = document.createElement("li");
        const words = document.createElement("span");
        words.textContent = `${line.name} × ${line.quantity}`;
        const total = document.createElement("span");
        total.textContent = yuan(times(line.quantity, line.fen));
        const remove = document.createElement("button");
        remove.type = "button";
        remove.textContent = "×";
        remove.setAttribute("aria-label", say(list.dataset.remove, { name: line.name }));
        remove.addEventListener("click", () => {
          lines.splice(place, 1);
          draw();
          changed(sum());
        });
        item.append(words, total, remove);
        return item;
      }),
    );
  }
  draw();

  return {
    lines: () => lines,
    clear() {
      lines = [];
      draw();
    },
    /** As goods_list wants it (protocol 5), prices in fen. */
    asText() {
      const told = lines.map((line) => ({ goods_name: line.name, sell_amount: line.quantity, goods_price: String(line.fen) }));
      return told.length ? JSON.stringify(told) : "";
    },
  };
}
