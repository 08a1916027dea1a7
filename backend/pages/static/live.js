// Keeps the part of a page that changes by itself up to date.
"use strict";
const SECONDS = 3;
setInterval(async () => {
  if (document.hidden) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer || !answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  const shown = document.getElementById("live");
  if (fresh && fresh.dataset.page !== shown.dataset.page) location.reload();  // more than this part has changed
  else if (fresh && fresh.innerHTML !== shown.innerHTML) shown.replaceWith(fresh);
}, 1000 * SECONDS);
