// A second click on a button sends nothing: one click, one new app. What is downloaded leaves its page as it is and
// may be sent again (data-again), and so may whatever htmx sends.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.matches("[hx-post], [data-again]")) return;
  if (form.ariaBusy) event.preventDefault();
  form.ariaBusy = "true";
});

// "Back" may show a page as it was left.
addEventListener("pageshow", () => {
  for (const form of document.forms) form.ariaBusy = null;
});
