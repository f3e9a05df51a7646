// Keeps a page fresh: the server renders, this puts it in place. A form the user is in is left alone.
"use strict";
const main = document.querySelector("[data-live]");
const state = document.querySelector("[data-live-state]");
if (main) {
  const target = main.querySelector("[data-live-target]");
  const source = new EventSource(main.dataset.live);
  source.onopen = () => { state.textContent = "live"; state.dataset.on = ""; };
  source.onerror = () => { state.textContent = "reconnecting"; delete state.dataset.on; };
  source.onmessage = (event) => {
    if (target.contains(document.activeElement) && document.activeElement.matches("input, select")) return;
    target.innerHTML = JSON.parse(event.data);
  };
}
