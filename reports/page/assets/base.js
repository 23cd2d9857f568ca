// What all parts of the page share: the state in the address bar, elements, numbers as text, points by name.
"use strict";

const Page = (() => {
  const report = window.REPORT;
  const metrics = new Map(report.metrics.map((metric) => [metric.name, metric]));

  // State: what is looked at. Only what differs from the defaults stands in the address.

  const defaults = { off: "" }; // labels of codecs that are not shown, as JSON
  const forms = {}; // what a value has to look like, of those that are no name of anything
  const listeners = [];
  let state = {};
  let timer = 0;

  function read() {
    const words = new URLSearchParams(location.hash.replace(/^#[a-z]*\??/, ""));
    state = { ...defaults };
    for (const [key, value] of words) {
      if (Object.hasOwn(defaults, key) && (!forms[key] || forms[key].test(value))) state[key] = value;
    }
  }

  function address() {
    const words = new URLSearchParams();
    for (const key of Object.keys(defaults)) if (state[key] !== defaults[key]) words.set(key, state[key]);
    const text = words.toString();
    return text ? `#?${text}` : location.pathname + location.search;
  }

  // Browsers limit how often an address may change, and dragging would exceed that.
  function write() {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", address()), 150);
  }

  // An address comes from anywhere: a value that is not of its form is as if it were not there.
  function define(values, of = {}) {
    Object.assign(defaults, values);
    Object.assign(forms, of);
    read();
  }

  function set(changes) {
    const changed = new Set(Object.keys(changes).filter((key) => state[key] !== String(changes[key])));
    if (!changed.size) return;
    for (const key of changed) state[key] = String(changes[key]);
    write();
    for (const listener of listeners) listener(changed);
  }

  function listen(listener) {
    listeners.push(listener);
  }

  // An anchor of the page and a state share the part behind the "#": only one that begins with "?" is a state.
  window.addEventListener("hashchange", () => {
    if (!location.hash.startsWith("#?")) return;
    const before = state;
    read();
    const keys = new Set(Object.keys(defaults).filter((key) => before[key] !== state[key]));
    if (keys.size) for (const listener of listeners) listener(keys);
  });

  // Text as it may be shown, whoever wrote it: control characters, marks that turn the direction of writing and
  // characters of no width are written out. ZWNJ and ZWJ stay: Persian, Hindi and emoji are spelt with them.
  function visible(text) {
    return String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
      if (character === "\u200c" || character === "\u200d") return character;
      const code = character.codePointAt(0);
      const [letter, digits] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
      return `\\${letter}${code.toString(16).padStart(digits, "0")}`;
    });
  }

  // Elements. Text is always set as text, never as markup.

  const READ_ALOUD = new Set(["title", "alt", "aria-label"]);

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(made.style, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) {
        made.setAttribute(name, READ_ALOUD.has(name) ? visible(value) : value);
      }
    }
    for (const child of children) {
      if (child !== null && child !== undefined) made.append(typeof child === "string" ? visible(child) : child);
    }
    return made;
  }

  // options: [value, text] each.
  function select(name, options, value, change) {
    const box = element("select", { onchange: (event) => change(event.target.value) });
    for (const [key, text] of options) box.append(element("option", { value: key, selected: key === value }, text));
    return element("label", { class: "choice" }, element("span", {}, name), box);
  }

  function check(name, value, change) {
    const box = element("input", { type: "checkbox", onchange: (event) => change(event.target.checked) });
    box.checked = value;
    return element("label", { class: "check" }, box, element("span", {}, name));
  }

  // Long lists

  const PORTION = 200;

  // Puts make(item) for each of `items` into `list`, a portion at a time; returns what stands below: how many are
  // there, and a button for more. Null if they all are.
  function portions(items, make, list, noun) {
    let shown = 0;
    const below = element("p", { class: "more" });
    const add = () => {
      list.append(...items.slice(shown, shown + PORTION).map(make));
      shown = Math.min(items.length, shown + PORTION);
      const left = items.length - shown;
      below.replaceChildren(
        `${whole(shown)} of ${whole(items.length)} ${noun} are listed. `,
        left ? element("button", { type: "button", onclick: add }, `${Math.min(left, PORTION)} more`) : "",
      );
    };
    add();
    return shown < items.length ? below : null;
  }

  // Those of `items`, in order, that a list of this size shows around place `at`.
  function around(items, at) {
    const from = Math.max(0, Math.min(at - PORTION / 2, items.length - PORTION));
    return items.slice(from, from + PORTION);
  }

  // Numbers

  function number(value, decimals) {
    return value === null || value === undefined ? "–" : value.toFixed(decimals).replace(/^-(?=0\.?0*$)/, "").replace("-", "−");
  }

  function signed(value, decimals) {
    return value === null || value === undefined ? "–" : (value > 0 ? "+" : "") + number(value, decimals);
  }

  function whole(value) {
    return value === null || value === undefined ? "–" : String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  }

  function interval(entry, decimals) {
    if (!entry || entry.value === null) return "–";
    const half = entry.low === null ? null : (entry.high - entry.low) / 2;
    return number(entry.value, decimals) + (half === null ? "" : ` ± ${number(half, decimals)}`);
  }

  // Points

  function key(point) {
    return `${report.codecs[point.codec].label}=${point.name}`;
  }

  function find(name) {
    const index = report.points.findIndex((point) => key(point) === name);
    return index < 0 ? null : index;
  }

  function label(point) {
    return `${report.codecs[point.codec].label}, quality ${point.name}`;
  }

  function rate(point) {
    return point.values.bpp ? point.values.bpp.value : null;
  }

  function of(codec) {
    return report.points
      .map((point, index) => [point, index])
      .filter(([point]) => point.codec === codec)
      .map((p) => p[1]);
  }

  // The point of `codec` whose bits are nearest to those of `point`: of image `image`, or in the mean.
  function nearest(point, codec, image = null) {
    const bits = (p) =>
      image !== null && report.points[point].bytes[image] && p.bytes[image] ? p.bytes[image] : rate(p);
    const wanted = bits(report.points[point]);
    let best = null;
    let least = Infinity;
    for (const index of of(codec)) {
      const distance = Math.abs(Math.log(bits(report.points[index]) / wanted));
      if (distance < least || best === null) {
        least = distance;
        best = index;
      }
    }
    return best;
  }

  // Where an image is: in a page of one file it is part of the page.
  function source(path) {
    return window.IMAGES ? (window.IMAGES[path] ?? path) : path;
  }

  // Labels of the codecs that the legend has taken away.
  function off() {
    try {
      return new Set(JSON.parse(state.off || "[]"));
    } catch {
      return new Set(); // an address that was cut off
    }
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");

  // A codec's colour, lifted where it would be lost on a dark ground.
  function color(index, ground = dark.matches) {
    const parts = report.codecs[index].color.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
    const light = (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]) / 255;
    if (!ground || light > 0.5) return report.codecs[index].color;
    const lift = light < 0.25 ? 0.62 : 0.35;
    return `rgb(${parts.map((part) => Math.round(part + (255 - part) * lift)).join(",")})`;
  }

  return {
    report,
    metrics,
    define,
    read,
    set,
    listen,
    visible,
    portions,
    around,
    element,
    select,
    check,
    number,
    signed,
    whole,
    interval,
    key,
    find,
    label,
    rate,
    of,
    nearest,
    source,
    off,
    dark,
    color,
    get state() {
      return state;
    },
  };
})();
