"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = read("figures");
  const config = read("look");
  const views = {};
  const draw = (place) => {
    const name = place.dataset.figure;
    const spec = specs[name];
    const options = {
      mode: spec.marks ? "vega" : "vega-lite", renderer: "svg", actions: false, defaultStyle: false, config,
      tooltip: { theme: "custom", disableDefaultStyle: true },
    };
    return vegaEmbed(place, spec, options).then((drawn) => { views[name] = drawn.view; });
  };
  const places = [...document.querySelectorAll("[data-figure]")];
  window.reportDrawn = Promise.all(places.map(draw)).then(() => places.length);
  for (const button of document.querySelectorAll("input[data-signal]")) {
    button.addEventListener("change", () => {
      views[button.dataset.of].signal(button.dataset.signal, button.value).runAsync();
    });
  }
  // A finger leaves what it touched, and its tooltip would go: a tap counts as a pointer that stays.
  let finger = false;
  let touched = null;
  document.addEventListener("pointerdown", (event) => { finger = event.pointerType === "touch"; });
  document.addEventListener("click", (event) => {
    if (!finger) return;
    const at = { bubbles: true, clientX: event.clientX, clientY: event.clientY };
    const tell = (type) => touched.dispatchEvent(new PointerEvent(type, at));
    if (touched) tell("pointerout");
    touched = event.target.closest(".draw svg *");
    if (touched) { tell("pointerover"); tell("pointermove"); }
  });
})();
