// What makes pages livelier; each of them works without.
"use strict";

const language = document.documentElement.lang;
const moments = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

function enliven(root) {
  for (const moment of root.querySelectorAll("time[data-local]")) {
    moment.textContent = moments.format(new Date(moment.dateTime));
    moment.removeAttribute("data-local");
  }
  for (const each of root.querySelectorAll("[data-copy], [data-choose-all], [data-file-for]")) each.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(text.textContent);
    const name = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = name; }, 2000);
  } catch {  // not allowed: choose it, so that it can be copied by hand
    getSelection().selectAllChildren(text);
  }
});

document.addEventListener("change", async (event) => {
  if (event.target.closest("[data-choose-all]")) {
    const boxes = event.target.closest("table").querySelectorAll("tbody input[type=checkbox]");
    for (const box of boxes) box.checked = event.target.checked;
  }
  const chooser = event.target.closest("[data-file-for]");
  if (chooser && event.target.files.length) {
    document.getElementById(chooser.dataset.fileFor).value = await event.target.files[0].text();
  }
});

// A part that renews itself waits while somebody works in it.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt;
  if (part.id === "live" && part.contains(document.activeElement) && document.activeElement.matches("input, select")) {
    event.preventDefault();
  }
});

const unreachable = document.getElementById("unreachable");
document.addEventListener("htmx:sendError", () => { unreachable.hidden = false; });
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) unreachable.hidden = true; });
document.addEventListener("htmx:afterSwap", (event) => enliven(document));
enliven(document);
