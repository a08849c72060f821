// The live part of the console: one stream says which topics have changed, and htmx fetches the parts that show them.
"use strict";
(() => {
  const connection = document.getElementById("connection");
  let source = null;
  let position = document.body.dataset.position;

  const open = () => {
    if (source !== null || document.visibilityState === "hidden") return; // a browser has six connections for all tabs
    source = new EventSource(`/stream?since=${encodeURIComponent(position)}`);
    source.addEventListener("open", () => {
      document.body.dataset.live = "true";
      connection.textContent = "";
    });
    source.addEventListener("changed", (event) => {
      position = event.lastEventId;
      for (const topic of event.data.split(" ")) document.body.dispatchEvent(new Event(`changed-${topic}`));
    });
    source.addEventListener("error", () => {
      document.body.dataset.live = "false";
      connection.textContent = connection.dataset.broken;
      if (source !== null && source.readyState === EventSource.CLOSED) {
        close();
        setTimeout(open, 2000); // the browser itself has given up
      }
    });
  };
  const close = () => {
    if (source !== null) source.close();
    source = null;
  };

  document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  document.body.addEventListener("htmx:sendError", (event) => {
    if (event.detail.requestConfig.verb === "post") connection.textContent = connection.dataset.unsent;
  });
  open();
})();
