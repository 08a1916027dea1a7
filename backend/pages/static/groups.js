// Groups by keyboard, what is told of those before, and that a page is still open. Without it, the page is a plain form.
"use strict";
const HOLD_SECONDS = 60, ASK_SECONDS = 1, CODE_SECONDS = 2;
const form = document.getElementById("group"), said = document.getElementById("said");
const button = (id) => document.getElementById(id);
let going = false, typed = "", typedAt = 0;

// Asks what became of the last groups while something is written. A screen reader tells the end, and not each step to it.
async function listen() {
  const busy = said.querySelector("[data-busy]");
  said.setAttribute("aria-busy", Boolean(busy));
  if (!busy) return said.replaceChildren(...said.children);
  const answer = await fetch(location.pathname + "/said").catch(() => null);
  if (answer && answer.ok && !answer.redirected) {
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".said");
    if (fresh && fresh.outerHTML !== said.querySelector(".said").outerHTML) said.replaceChildren(fresh);
  }
  setTimeout(listen, 1000 * ASK_SECONDS);
}

function count() {
  const boxes = [...form.querySelectorAll("[data-code]")], left = boxes.filter((box) => box.checked).length;
  const name = form.label.value || "the chosen class";
  if (button("guess")) button("guess").textContent = name;
  form.classList.toggle("otherwise", form.label.value !== form.dataset.guess);
  button("label-rest").textContent = `Label ${left} as ${name}`;
}

function toggle(box) {
  box.checked = !box.checked;
  box.closest("label").scrollIntoView({block: "nearest"});
  button("heard").textContent = `${box.dataset.code} ${box.checked ? "in" : "taken out"}`;
  count();
}

// One letter, or the second of two: no code begins another.
function type(letter) {
  const now = Date.now();
  typed = now - typedAt > 1000 * CODE_SECONDS ? letter : typed + letter;
  typedAt = now;
  const boxes = [...form.querySelectorAll("[data-code]")];
  const box = boxes.find((one) => one.dataset.code === typed);
  if (box) toggle(box);
  if (box || !boxes.some((one) => one.dataset.code.startsWith(typed))) typed = "";
}

function press(event) {
  const at = event.target, letter = /^[a-z]$/i.test(event.key) ? event.key : (/^Key([A-Z])$/.exec(event.code) || [])[1];
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !button("keys").checked) return;
  if (event.key === "Enter") {
    if (at.closest("button, a, summary")) return;
    form.requestSubmit(button("label-rest"));
  } else if (at.closest("select")) {
    return;
  } else if (/^[1-9]$/.test(event.key)) {
    const option = [...form.label.options].find((one) => one.text.startsWith(event.key + " "));
    if (!option) return;
    form.label.value = option.value;
    button("heard").textContent = `Class ${option.value}`;
    count();
  } else if (letter) {
    const name = letter.toLowerCase();
    if (name === "s") button("skip").click();
    else if (name === "u") button("undo").click();
    else type(name);
  } else {
    return;
  }
  event.preventDefault();
}

function send(what) {
  const about = new URLSearchParams(["csrf", "shown", "view"].map((name) => [name, form.elements[name].value]));
  navigator.sendBeacon(`${location.pathname}/${what}`, about);
}

setTimeout(listen, 1000 * ASK_SECONDS);  // what is there from the beginning is not told
if (form) {
  button("about-keys").hidden = false;
  count();
  form.addEventListener("change", count);
  form.addEventListener("submit", (event) => {
    if (going) event.preventDefault();
    going = true;
  });
  document.addEventListener("keydown", press);
  setInterval(() => document.hidden || send("hold"), 1000 * HOLD_SECONDS);
  addEventListener("pagehide", () => going || send("leave"));
  addEventListener("load", () => {
    for (const task of form.dataset.after.split(" ").filter(Boolean)) new Image().src = location.pathname.replace(/groups$/, `images/${task}`);
  });
} else if (button("undo")) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "u" && !event.ctrlKey && !event.metaKey && !event.altKey) button("undo").click();
  });
}
