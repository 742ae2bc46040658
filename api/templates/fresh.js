// Fetches the page anew each minute and puts its living parts in the place of the old ones. What people type in stands in no living
// part, and a part that somebody is in, or has opened something in, is left as it is. Without this, the page has a link that does it.
"use strict";
(() => {
  const MINUTE = 60000;
  const busy = (part) =>
    part.contains(document.activeElement) && document.activeElement !== document.body || part.querySelector("details[open]");
  const renew = async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      if (other && !busy(part)) part.replaceWith(other);
    }
  };
  setInterval(renew, MINUTE);
})();
