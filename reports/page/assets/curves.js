// The curves: a panel a metric, one legend for all, the plane of realism and distortion, and all values as a table.
"use strict";

(() => {
  const { report, metrics, visible, element, check, select, number, interval, color } = Page;
  Page.define(
    { log: "1", published: "0", intervals: "1", bits: "", realism: "" },
    { log: /^[01]$/, published: /^[01]$/, intervals: /^[01]$/, bits: /^[0-9]{1,3}(\.[0-9]+)?(e-[0-9]{1,2})?$/ },
  );

  const drawn = report.metrics.filter(
    (metric) =>
      metric.name !== "bpp" &&
      report.points.some((point) => value(point, metric.name) !== null || point.infinite[metric.name]),
  );
  const panels = new Map(); // metric name -> element that plotly draws in
  const notes = new Map(); // metric name -> element that says which points have no place there
  const pending = new Set();

  function value(point, metric) {
    const entry = point.values[metric];
    return entry && entry.value !== null ? entry.value : null;
  }

  // A similarity is drawn in decibels, which spread out the values just under 1.
  function scaled(metric, x) {
    if (x === null || metrics.get(metric).scale !== "decibel") return x;
    return x < 1 ? -10 * Math.log10(1 - x) : null;
  }

  // Which points have no place in a panel and why, "" if all have one.
  function unplaced(metric) {
    const off = hidden();
    const points = report.points.filter((point) => !off.has(report.codecs[point.codec].label));
    const lost = points.filter((point) => {
      const known = value(point, metric.name);
      return known === null ? point.infinite[metric.name] : scaled(metric.name, known) === null;
    });
    if (!lost.length) return "";
    const decibels = metric.scale === "decibel" ? "1, which is infinite in decibels," : "infinite";
    const why = `${metric.title} is ${decibels} where images are exactly their originals`;
    if (lost.length === points.length) return `No curve: ${why}.`;
    const names = lost.slice(0, 6).map(Page.label).join("; ") + (lost.length > 6 ? ` and ${lost.length - 6} more` : "");
    return `Not in this panel, since ${why}: ${names}.`;
  }

  // plotly reads markup in texts.
  function plain(text) {
    return visible(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  const hidden = Page.off;

  function axisTitle(metric) {
    return plain(metric.title) + (metric.shown_unit ? ` (${plain(metric.shown_unit)})` : "");
  }

  function hover(point, metric) {
    const entry = point.values[metric.name];
    const codec = report.codecs[point.codec];
    const lines = [
      `<b>${plain(codec.label)}</b>  quality ${plain(point.name)}`,
      `${plain(metric.title)} ${interval(entry, metric.decimals)} ${plain(metric.unit)}`,
      `${interval(point.values.bpp, 4)} bpp`,
      `n = ${entry.images} image${entry.images === 1 ? "" : "s"}${entry.patches ? `, ${entry.patches} patches` : ""}`,
    ];
    if (entry.seeds !== null) lines.push(`± ${entry.seeds.toPrecision(2)} over decoder seeds`);
    lines.push(`<i>${plain(metric.protocol)}</i>`);
    return lines.join("<br>");
  }

  function faded(text) {
    const parts = text.startsWith("#") ? text.match(/[0-9a-f]{2}/gi).map((p) => parseInt(p, 16)) : text.match(/\d+/g);
    return `rgba(${parts.join(",")},0.32)`;
  }

  function traces(metric, dark) {
    const off = hidden();
    const made = [];
    if (Page.state.published === "1") {
      for (const curve of report.published[metric.name] || []) {
        made.push({
          type: "scatter",
          mode: "lines",
          name: plain(curve.label),
          x: curve.bpp,
          y: curve.value.map((y) => scaled(metric.name, y)),
          line: { color: dark ? "#8b919a" : "#8a8f98", width: 1.2, dash: curve.dash },
          text: curve.bpp.map((bpp, i) =>
            [
              `<b>${plain(curve.label)}</b>  published`,
              `${plain(metric.title)} ${number(curve.value[i], metric.decimals)}`,
              `${number(bpp, 4)} bpp`,
              plain(curve.reference),
              plain(curve.remark),
            ]
              .filter(Boolean)
              .join("<br>"),
          ),
          hoverinfo: "text",
          showlegend: true,
          meta: null,
        });
      }
    }
    report.codecs.forEach((codec, index) => {
      if (off.has(codec.label)) return;
      const chosen = Page.of(index).filter((p) => {
        const point = report.points[p];
        return scaled(metric.name, value(point, metric.name)) !== null && Page.rate(point) > 0;
      });
      chosen.sort((a, b) => Page.rate(report.points[a]) - Page.rate(report.points[b]));
      if (!chosen.length) return;
      const points = chosen.map((p) => report.points[p]);
      const tone = color(index, dark);
      const y = points.map((point) => scaled(metric.name, value(point, metric.name)));
      const ends = (name) =>
        points.map((point, i) => {
          const end = scaled(metric.name, point.values[metric.name][name]);
          return end === null ? 0 : Math.abs(end - y[i]);
        });
      const known = points.some((point) => point.values[metric.name].low !== null);
      made.push({
        type: "scatter",
        mode: points.length > 1 ? "lines+markers" : "markers",
        name: plain(codec.label),
        x: points.map((point) => Page.rate(point)),
        y,
        line: { color: tone, width: 2, dash: codec.dash },
        marker: { color: tone, size: 8, symbol: codec.symbol, line: { color: tone, width: 1.5 } },
        error_y: {
          visible: known && Page.state.intervals === "1",
          type: "data",
          symmetric: false,
          array: ends("high"),
          arrayminus: ends("low"),
          thickness: 1.3,
          width: 0,
          color: faded(tone),
        },
        text: points.map((point) => hover(point, metric)),
        hoverinfo: "text",
        customdata: chosen,
        showlegend: true,
      });
    });
    return made.concat(originalsInRange(metric));
  }

  function theme(dark) {
    return dark
      ? { text: "#c9cdd3", quiet: "#9aa0a8", grid: "#2a2e35", ground: "#191c21", edge: "#3a3f47" }
      : { text: "#30343a", quiet: "#666c75", grid: "#e9eaec", ground: "#ffffff", edge: "#c9ccd1" };
  }

  function axis(look) {
    return {
      gridcolor: look.grid,
      linecolor: look.edge,
      tickcolor: look.edge,
      zeroline: false,
      showline: true,
      ticks: "outside",
      ticklen: 3,
      automargin: true,
      tickfont: { size: 11, color: look.quiet },
      fixedrange: true,
    };
  }

  // What a metric without a reference says of the originals.
  function originals(metric, look) {
    const y = scaled(metric.name, metric.originals);
    if (y === null) return {};
    const line = { color: look.quiet, width: 1.3, dash: "dot" };
    return {
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line }],
      annotations: [
        {
          xref: "paper",
          x: 1,
          xanchor: "right",
          y,
          yanchor: "bottom",
          text: "originals",
          showarrow: false,
          font: { size: 11, color: look.quiet },
        },
      ],
    };
  }

  // plotly's own range knows traces only.
  function originalsInRange(metric) {
    const y = scaled(metric.name, metric.originals);
    if (y === null) return [];
    const rates = report.points.map((point) => Page.rate(point)).filter((rate) => rate > 0);
    return [
      {
        type: "scatter",
        mode: "markers",
        x: rates.slice(0, 1),
        y: [y],
        marker: { opacity: 0 },
        hoverinfo: "skip",
        showlegend: false,
      },
    ];
  }

  function layout(metric, dark, legend) {
    const look = theme(dark);
    const range = rateRange();
    return {
      font: {
        family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
        size: 12,
        color: look.text,
      },
      paper_bgcolor: look.ground,
      plot_bgcolor: look.ground,
      margin: { l: 46, r: 14, t: 34, b: 40 },
      title: {
        text: `${axisTitle(metric)} <span style="color:${look.quiet}">${metric.higher ? "↑" : "↓"}</span>`,
        x: 0,
        xref: "paper",
        xanchor: "left",
        y: 0.97,
        yanchor: "top",
        font: { size: 13.5, weight: 600 },
      },
      xaxis: {
        ...axis(look),
        type: Page.state.log === "1" ? "log" : "linear",
        range,
        ...(Page.state.log === "1" ? { tickvals: ticks(), ticktext: ticks().map(String) } : {}),
        title: { text: "bits per pixel", font: { size: 11.5, color: look.quiet }, standoff: 6 },
      },
      yaxis: axis(look),
      ...originals(metric, look),
      hovermode: "closest",
      hoverlabel: { align: "left", font: { size: 12 } },
      showlegend: legend,
      legend: { orientation: "h", y: -0.16, font: { size: 11 } },
      dragmode: false,
    };
  }

  // All panels share their range, so that they can be read across. Published curves do not set it.
  function rateRange() {
    const off = hidden();
    const rates = report.points
      .filter((point) => !off.has(report.codecs[point.codec].label))
      .map((point) => Page.rate(point))
      .filter((rate) => rate > 0);
    if (!rates.length) return undefined;
    const [low, high] = [Math.min(...rates), Math.max(...rates)];
    if (Page.state.log !== "1") return [0, high * 1.04];
    const room = Math.max(Math.log10(high / low) * 0.04, 0.05);
    return [Math.log10(low) - room, Math.log10(high) + room];
  }

  function ticks() {
    return [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
  }

  const CONFIG = { displayModeBar: false, responsive: true, showTips: false };

  function draw(name) {
    pending.delete(name);
    const metric = metrics.get(name);
    const box = panels.get(name);
    Plotly.react(box, traces(metric, Page.dark.matches), layout(metric, Page.dark.matches, false), CONFIG);
    notes.get(name).textContent = visible(unplaced(metric));
    if (!box.dataset.ready) {
      box.dataset.ready = "1";
      box.on("plotly_click", (event) => {
        const point = event.points[0].customdata;
        if (point !== undefined) Viewer.openPoint(point);
      });
      box.on("plotly_hover", (event) => {
        box.classList.toggle("pointing", event.points[0].customdata !== undefined);
      });
      box.on("plotly_unhover", () => box.classList.remove("pointing"));
    }
  }

  // One a frame, those in sight first, so that the page answers while it draws.
  function drawAll() {
    for (const name of panels.keys()) pending.add(name);
    const next = () => {
      const name = [...pending].find((n) => inSight(panels.get(n))) || [...pending][0];
      if (name === undefined) {
        drawPlane();
        return;
      }
      draw(name);
      setTimeout(next, 0);
    };
    next();
  }

  function inSight(box) {
    const place = box.getBoundingClientRect();
    return place.top < innerHeight && place.bottom > 0;
  }

  async function save(metric, format) {
    const made = await Plotly.toImage(
      { data: traces(metric, false), layout: { ...layout(metric, false, true), width: 720, height: 500 } },
      { format, scale: format === "png" ? 2 : 1 },
    );
    element("a", { href: made, download: `${metric.name.replace(/[^A-Za-z0-9._-]+/g, "-")}.${format}` }).click();
  }

  function makePanels() {
    const grid = document.getElementById("panels");
    if (!drawn.length) grid.append(element("p", { class: "notice" }, "No metric has a value, so there is no curve."));
    for (const metric of drawn) {
      const box = element("div", {
        class: "plot",
        role: "img",
        "aria-label":
          `${metric.title} over bits per pixel; ${metric.higher ? "higher" : "lower"} is better. ` +
          "The values stand in the table below the curves.",
      });
      panels.set(metric.name, box);
      const button = (format) =>
        element(
          "button",
          {
            type: "button",
            class: "quiet",
            onclick: () => save(metric, format),
            "aria-label": `${metric.title} as ${format.toUpperCase()}`,
          },
          format.toUpperCase(),
        );
      const note = element("p", { class: "hint unplaced" });
      notes.set(metric.name, note);
      const words = element("details", { class: "protocol" }, element("summary", {}, metric.protocol));
      const list = element("ul");
      for (const line of metric.words) list.append(element("li", {}, line));
      words.append(list);
      grid.append(
        element(
          "figure",
          { class: "panel" },
          box,
          note,
          element("figcaption", {}, words, element("span", { class: "buttons" }, button("png"), button("svg"))),
        ),
      );
    }
  }

  // Legend

  const NAMESPACE = "http://www.w3.org/2000/svg";

  function swatch(index) {
    const codec = report.codecs[index];
    const made = document.createElementNS(NAMESPACE, "svg");
    const tone = color(index);
    const dash = codec.dash === "solid" ? "" : codec.dash.replace(/px/g, "");
    for (const [name, text] of [
      ["viewBox", "0 0 34 12"],
      ["width", 34],
      ["height", 12],
      ["aria-hidden", "true"],
    ]) {
      made.setAttribute(name, text);
    }
    const add = (tag, attributes) => {
      const part = document.createElementNS(NAMESPACE, tag);
      for (const [name, text] of Object.entries(attributes)) part.setAttribute(name, text);
      made.append(part);
    };
    add("line", { x1: 1, y1: 6, x2: 33, y2: 6, stroke: tone, "stroke-width": 2, "stroke-dasharray": dash });
    const [shape, open] = codec.symbol.split("-open");
    const fill = open === undefined ? tone : "var(--ground)";
    const paths = {
      square: "M13 2h8v8h-8z",
      "triangle-up": "M17 1.5l4.5 8.5h-9z",
      "triangle-down": "M17 10.5l4.5-8.5h-9z",
      diamond: "M17 1l5 5-5 5-5-5z",
      "diamond-tall": "M17 1l3.5 5-3.5 5-3.5-5z",
      "triangle-left": "M12.5 6l8.5-4.5v9z",
      "triangle-right": "M21.5 6l-8.5-4.5v9z",
      cross: "M15.5 1.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
      x: "M14 1.5l3 3 3-3 1.8 1.8-3 2.7 3 2.7-1.8 1.8-3-3-3 3-1.8-1.8 3-2.7-3-2.7z",
    };
    if (paths[shape]) add("path", { d: paths[shape], fill, stroke: tone, "stroke-width": 1 });
    else add("circle", { cx: 17, cy: 6, r: 4.2, fill, stroke: tone, "stroke-width": 1 });
    return made;
  }

  function legend() {
    const box = document.getElementById("legend");
    const off = hidden();
    box.replaceChildren(
      ...report.codecs.map((codec, index) => {
        const shown = !off.has(codec.label);
        const toggle = () => {
          const now = hidden();
          if (!now.delete(codec.label)) now.add(codec.label);
          Page.set({ off: now.size ? JSON.stringify([...now]) : "" });
          box.children[index].focus();
        };
        return element(
          "button",
          { type: "button", class: "codec", "aria-pressed": String(shown), onclick: toggle },
          swatch(index),
          element("span", {}, codec.label),
        );
      }),
    );
  }

  function tools() {
    const box = document.getElementById("curve-tools");
    const flag = (name, key) => check(name, Page.state[key] === "1", (on) => Page.set({ [key]: on ? "1" : "0" }));
    box.replaceChildren(flag("logarithmic bits", "log"));
    if (report.points.some((p) => Object.values(p.values).some((v) => v.low !== null))) {
      box.append(flag("95 % intervals", "intervals"));
    }
    if (Object.keys(report.published).length) box.append(flag("published curves", "published"));
  }

  // Realism against distortion at one rate: between two points of a curve, straight lines over the logarithm of bits.

  let plane = null;

  function at(codec, rate, metric) {
    const points = Page.of(codec)
      .map((p) => report.points[p])
      .filter((point) => Page.rate(point) > 0 && value(point, metric) !== null)
      .sort((a, b) => Page.rate(a) - Page.rate(b));
    for (let i = 0; i < points.length; i += 1) {
      if (Math.abs(Math.log(Page.rate(points[i]) / rate)) < 1e-9) return value(points[i], metric);
      if (i && Page.rate(points[i - 1]) < rate && rate < Page.rate(points[i])) {
        const [low, high] = [points[i - 1], points[i]];
        const share = Math.log(rate / Page.rate(low)) / Math.log(Page.rate(high) / Page.rate(low));
        return value(low, metric) * (1 - share) + value(high, metric) * share;
      }
    }
    return null;
  }

  function makePlane() {
    const realism = drawn.filter((metric) => metric.aspect !== "fidelity");
    const faithful = drawn.find((metric) => metric.aspect === "fidelity");
    const place = document.getElementById("panels");
    const rates = report.points.map((point) => Page.rate(point)).filter((rate) => rate > 0);
    if (!realism.length || !faithful || new Set(rates).size < 2) return;
    const first = (realism.find((m) => m.aspect === "realism" && !m.signed) || realism[0]).name;
    const [low, high] = [Math.log(Math.min(...rates)), Math.log(Math.max(...rates))];
    const output = element("output");
    const slider = element("input", { type: "range", min: 0, max: 200, step: 1, "aria-label": "bits per pixel" });
    slider.addEventListener("input", () => {
      Page.set({ bits: Math.exp(low + (high - low) * (slider.value / 200)).toPrecision(3) });
    });
    const said = `Realism against ${faithful.title} at the chosen bits`;
    const box = element("div", { class: "plot", role: "img", "aria-label": said });
    const note = element("p", { class: "hint", "aria-live": "polite" });
    const choice = element("span");
    place.append(
      element(
        "figure",
        { class: "panel plane" },
        element(
          "div",
          { class: "head" },
          element("h3", {}, "Realism against distortion"),
          element(
            "div",
            { class: "tools" },
            element("label", { class: "choice" }, element("span", {}, "at"), slider, output),
            choice,
          ),
        ),
        box,
        element("figcaption", {}, note),
      ),
    );
    plane = {
      box,
      note,
      slider,
      output,
      choice,
      realism,
      faithful,
      first,
      low,
      high,
      middle: Math.exp((low + high) / 2).toPrecision(3),
    };
  }

  function drawPlane() {
    if (!plane) return;
    const rate = Number(Page.state.bits) || Number(plane.middle);
    const name = metrics.has(Page.state.realism) ? Page.state.realism : plane.first;
    plane.slider.value = Math.round((200 * (Math.log(rate) - plane.low)) / (plane.high - plane.low));
    plane.slider.setAttribute("aria-valuetext", `${rate} bits per pixel`);
    plane.output.textContent = `${rate.toPrecision(3)} bpp`;
    if (plane.choice.dataset.name !== name) {
      plane.choice.dataset.name = name;
      plane.choice.replaceChildren(
        select(
          "realism",
          plane.realism.map((m) => [m.name, m.title]),
          name,
          (chosen) => Page.set({ realism: chosen }),
        ),
      );
    }
    const [faithful, other] = [plane.faithful, metrics.get(name)];
    const across = (y) => scaled(faithful.name, y);
    const upwards = (y) => scaled(name, y);
    const look = theme(Page.dark.matches);
    const made = [];
    const missing = [];
    const off = hidden();
    const shown = report.codecs.filter((codec) => !off.has(codec.label)).length;
    report.codecs.forEach((codec, index) => {
      if (off.has(codec.label)) return;
      const points = Page.of(index)
        .map((p) => report.points[p])
        .filter((p) => across(value(p, faithful.name)) !== null && upwards(value(p, name)) !== null)
        .sort((a, b) => Page.rate(a) - Page.rate(b));
      const tone = color(index);
      made.push({
        type: "scatter",
        mode: "lines",
        x: points.map((p) => across(value(p, faithful.name))),
        y: points.map((p) => upwards(value(p, name))),
        line: { color: faded(tone), width: 1.5 },
        hoverinfo: "skip",
      });
      const [x, y] = [across(at(index, rate, faithful.name)), upwards(at(index, rate, name))];
      if (x === null || y === null) {
        missing.push(codec.label);
        return;
      }
      made.push({
        type: "scatter",
        mode: shown > 5 ? "markers" : "markers+text", // names of many points would cover each other
        x: [x],
        y: [y],
        text: [plain(codec.label)],
        textposition: "top right",
        textfont: { color: tone, size: 12 },
        cliponaxis: false,
        marker: { color: tone, size: 11, symbol: codec.symbol, line: { color: tone, width: 1.5 } },
        hovertext: [
          `<b>${plain(codec.label)}</b> at ${rate.toPrecision(3)} bpp<br>` +
            `${plain(faithful.title)} ${number(x, 2)} ${plain(faithful.shown_unit)}<br>` +
            `${plain(other.title)} ${number(y, other.decimals)} ${plain(other.shown_unit)}`,
        ],
        hoverinfo: "text",
      });
    });
    // before the plot, which takes the height that the note leaves
    const missed = missing.map(visible).join(", ");
    plane.note.textContent =
      "Better is up and to the right. Thin lines: each codec over its bits. Between two measured " +
      "points: a straight line over the logarithm of bits." +
      (missing.length ? ` Not measured at these bits: ${missed}.` : "");
    const base = layout(faithful, Page.dark.matches, false);
    Plotly.react(
      plane.box,
      made,
      {
        ...base,
        title: undefined,
        shapes: [],
        annotations: [],
        margin: { l: 46, r: 60, t: 16, b: 40 },
        xaxis: {
          ...axis(look),
          autorange: faithful.higher ? true : "reversed",
          title: { text: axisTitle(faithful), font: { size: 11.5, color: look.quiet }, standoff: 6 },
        },
        yaxis: {
          ...axis(look),
          autorange: other.higher ? true : "reversed",
          title: { text: axisTitle(other), font: { size: 11.5, color: look.quiet }, standoff: 6 },
        },
      },
      CONFIG,
    );
    plane.box.dataset.ready = "1";
  }

  // All values, for who reads with a screen reader, a keyboard or a printer.

  function numbers() {
    const details = document.getElementById("numbers");
    const place = details.querySelector(".scroll");
    const fill = () => {
      if (place.childElementCount) return;
      const columns = report.metrics;
      const head = element(
        "tr",
        {},
        element("th", { scope: "col" }, "codec"),
        element("th", { scope: "col", class: "value" }, "quality"),
        ...columns.map((m) =>
          element(
            "th",
            { scope: "col", class: "value" },
            `${m.name === "bpp" ? "bpp" : m.title} ${m.higher ? "↑" : "↓"}`,
          ),
        ),
      );
      const rows = element("tbody");
      report.points.forEach((point, index) => {
        const open = element(
          "button",
          {
            type: "button",
            class: "quiet",
            onclick: () => Viewer.openPoint(index),
            "aria-label": `Images of ${Page.label(point)}`,
          },
          point.name,
        );
        rows.append(
          element(
            "tr",
            {},
            element("th", { scope: "row" }, report.codecs[point.codec].label),
            element("td", { class: "value" }, open),
            ...columns.map((m) => element("td", { class: "value" }, interval(point.values[m.name], m.decimals))),
          ),
        );
      });
      place.append(element("table", { class: "data" }, element("thead", {}, head), rows));
    };
    details.addEventListener("toggle", fill);
    window.addEventListener("beforeprint", () => {
      fill();
      details.open = true;
    });
  }

  makePanels();
  makePlane();
  tools();
  legend();
  numbers();
  drawAll();
  Page.listen((changed) => {
    const has = (...keys) => keys.some((key) => changed.has(key));
    if (has("off")) legend();
    if (has("log", "published", "intervals", "off")) {
      tools();
      drawAll();
    } else if (has("bits", "realism")) drawPlane();
  });
  Page.dark.addEventListener("change", () => {
    legend();
    drawAll();
  });
})();
