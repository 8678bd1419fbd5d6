// A named time takes the place of a time that was typed.

const form = document.querySelector(".order-filters");
form?.elements.namedItem("period").addEventListener(
  "change",
  () => ["from", "to"].forEach((name) => (form.elements.namedItem(name).value = "")),
  { capture: true },
);
