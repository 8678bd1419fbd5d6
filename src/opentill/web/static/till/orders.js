// Finding orders: the form's values are in the address, so that a reload shows the same.

export function ordersScreen(root, go) {
  const form = root.querySelector("#find");
  const find = () => go(`${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    find();
  });
  for (const choice of form.querySelectorAll("input[type=radio], input[type=date]")) choice.addEventListener("change", find);
}
