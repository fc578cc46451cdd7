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
})();
