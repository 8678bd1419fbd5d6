// What is printed, and how wide the paper is.

const KEY = "till.paper";

export function printing(root) {
  const choose = (width) => {
    localStorage.setItem(KEY, width);
    draw();
  };
  const draw = () => {
    const width = localStorage.getItem(KEY) ?? "80";
    document.documentElement.dataset.paper = width;
    for (const button of root.querySelectorAll("[data-paper]")) {
      button.setAttribute("aria-pressed", String(button.dataset.paper === width));
    }
  };
  for (const button of root.querySelectorAll("[data-paper]")) button.addEventListener("click", () => choose(button.dataset.paper));
  root.querySelector("#print")?.addEventListener("click", () => window.print());
  draw();
}
