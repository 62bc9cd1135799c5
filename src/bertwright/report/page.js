/* Light or dark look, the charts, and the place in the list of contents. */
"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.look ? root.dataset.look === "dark" : dark.matches);

  /* A page opened from a file may have no storage: the choice then lasts as long as the page. */
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("bertwright-look", value);
      return localStorage.getItem("bertwright-look");
    } catch {
      return null;
    }
  };

  /* Charts name their colours by CSS variables; only the browser knows what these stand for in the present look. */
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const painted = (text) =>
    JSON.parse(text, (_key, value) => (typeof value === "string" && /^--[a-z]+$/.test(value) ? colour(value) : value));

  const slug = (chart) => (chart.closest("section")?.id ?? "chart").replace(/[^\w-]/g, "");
  const draw = (chart) => {
    if (!window.Plotly || chart.offsetParent === null) return; // folded: drawn when it is opened
    const { data, layout, frames } = painted(chart.querySelector("script").textContent);
    const slider = chart.parentElement.querySelector(".slider input");
    if (slider) frames[slider.value].forEach((values, index) => Object.assign(data[index], values));
    // Long or many tick labels leave no room for the chart on a phone: it has short and few ones for this.
    if (chart.clientWidth < 520)
      for (const [name, ticks] of Object.entries(layout.meta?.narrow ?? {})) Object.assign(layout[name], ticks);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    // A finger scrolls the page; a mouse may zoom in by dragging, and out by a double click.
    const mouse = matchMedia("(pointer: fine)").matches;
    layout.dragmode = mouse ? "zoom" : false;
    const config = {
      responsive: true,
      displaylogo: false,
      displayModeBar: mouse ? "hover" : false,
      modeBarButtons: [["toImage"]],
      toImageButtonOptions: { filename: slug(chart), scale: 2 },
    };
    chart.paper ??= chart.appendChild(document.createElement("div"));
    Plotly.react(chart.paper, data, layout, config);
  };
  const drawAll = () => document.querySelectorAll(".chart").forEach(draw);

  const setLook = (look) => {
    if (look) root.dataset.look = look;
    drawAll();
  };
  setLook(stored());
  dark.addEventListener("change", drawAll);
  document.getElementById("look").addEventListener("click", () => setLook(stored(isDark() ? "light" : "dark") ?? (isDark() ? "light" : "dark")));
  document.querySelectorAll("details.fold").forEach((fold) => fold.addEventListener("toggle", () => fold.querySelectorAll(".chart").forEach(draw)));

  /* A slider goes through the frames of its chart. */
  document.querySelectorAll(".slider input").forEach((slider) =>
    slider.addEventListener("input", () => {
      slider.parentElement.querySelector("output").textContent = JSON.parse(slider.dataset.labels)[slider.value];
      draw(slider.closest("figure").querySelector(".chart"));
    }),
  );

  /* The section that is read is marked in the list of contents. */
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver(
    (entries) =>
      entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }),
    { rootMargin: "-15% 0px -75% 0px" },
  );
  document.querySelectorAll("main > section").forEach((section) => watcher.observe(section));
})();
