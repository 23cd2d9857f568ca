// The viewer: an original and two reconstructions, one over the other, beside each other, or what differs between them.
"use strict";

const Viewer = (() => {
  const { report, metrics, visible, element, select, check, number, whole, signed } = Page;
  // view: "x,y,zoom", the centre in shares of the image's sides, its pixels' size in screen pixels; empty: all of it.
  Page.define(
    {
      picture: "",
      a: "",
      b: "",
      equal: "1",
      mode: "flip",
      show: "a",
      pair: "ab",
      split: "0.5",
      view: "",
      gain: "4",
      seed: "0",
      blink: "0",
      every: "500",
      labels: "1",
    },
    {
      equal: /^[01]$/,
      mode: /^(flip|slide|side|grid|difference|map(-[\w.-]{1,40})?)$/,
      show: /^[oab]$/,
      pair: /^(ab|oa|ob)$/,
      split: /^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$/,
      view: /^[01](\.[0-9]{1,6})?,[01](\.[0-9]{1,6})?,[0-9]{1,3}(\.[0-9]{1,9})?$/,
      gain: /^(1|2|4|8|16)$/,
      seed: /^[0-9]{1,6}$/,
      blink: /^[01]$/,
      every: /^(250|500|1000|2000)$/,
      labels: /^[01]$/,
    },
  );

  const MODES = [
    ["flip", "Flip in place"],
    ["slide", "Slider"],
    ["side", "Side by side"],
    ["grid", "All codecs"],
    ["difference", "Difference"],
    ...report.maps.map(({ mode, title }) => [mode, `${title} map`]),
  ];
  const SIDES = { o: "original", a: "A", b: "B" };
  const STEPS = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32];
  const withPictures = report.pictures.map((p, index) => index).filter((index) => report.pictures[index].file);

  let box; // the region that keys work in
  let stagePlace;
  let panes = []; // {pane, stages: [element], kind}
  let cycling = 0;
  let blinking = 0;
  let lit = null; // the side that a blink shows now; in no address, which may not change so often

  // What is shown

  function image() {
    const index = report.pictures.findIndex((picture) => picture.name === Page.state.picture && picture.file);
    return index < 0 ? withPictures[0] : index;
  }

  function pointA() {
    return Page.find(Page.state.a) ?? firstPoint(0, 0);
  }

  function pointB() {
    const a = pointA();
    const chosen = Page.find(Page.state.b);
    let codec = chosen === null ? null : report.points[chosen].codec;
    if (codec === null) {
      codec = report.codecs.findIndex((_, index) => index !== report.points[a].codec);
      if (codec < 0) {
        // One codec: the next quality, if there is one.
        const own = Page.of(report.points[a].codec);
        return own[own.indexOf(a) + 1] ?? own[own.indexOf(a) - 1] ?? a;
      }
    }
    const same = codec === report.points[a].codec;
    return Page.state.equal === "1" && !same
      ? Page.nearest(a, codec, image())
      : (chosen ?? Page.nearest(a, codec, image()));
  }

  function firstPoint(codec) {
    const own = Page.of(codec);
    return own[Math.floor((own.length - 1) / 2)];
  }

  function seedOf(point) {
    const seeds = report.points[point].seeds;
    return seeds.length ? Number(Page.state.seed) % seeds.length : 0;
  }

  // A side is "o", the original, "a", "b", or "p" and the number of a point.
  function pointOf(side) {
    if (side === "a") return pointA();
    return side === "b" ? pointB() : Number(side.slice(1));
  }

  // Of each codec that the legend leaves, the point whose bits on this image are nearest to A's.
  function gridSides() {
    const off = Page.off();
    const a = pointA();
    const shown = report.codecs
      .map((codec, index) => [codec, index])
      .filter(([codec, index]) => !off.has(codec.label) && Page.of(index).length);
    return shown.map(([, index]) => (index === report.points[a].codec ? "a" : `p${Page.nearest(a, index, image())}`));
  }

  function map() {
    return report.maps.find((heat) => heat.mode === Page.state.mode);
  }

  function file(side, kind = "pictures") {
    const index = image();
    if (side === "o") return report.pictures[index].file;
    const point = report.points[pointOf(side)];
    if (!point.there.includes(index)) return null;
    return `${kind}/${point.folders[seedOf(pointOf(side))]}/${report.pictures[index].path}.png`;
  }

  // Opening

  function open({ image: index, a, b, equal = true }) {
    const changes = { a, equal: equal ? "1" : "0", show: "a" };
    if (b) changes.b = b;
    if (index !== undefined && report.pictures[index].file) changes.picture = report.pictures[index].name;
    Page.set(changes);
    document.getElementById("viewer").scrollIntoView({ behavior: calm() ? "auto" : "smooth", block: "start" });
    if (box) box.focus({ preventScroll: true });
  }

  function openPoint(point) {
    const other = Page.find(Page.state.b);
    const changes = { a: Page.key(report.points[point]), equal: true };
    // The codec that was compared with stays, unless it is the one that was chosen now.
    if (other !== null && report.points[other].codec === report.points[point].codec) {
      const before = pointA();
      changes.b = Page.key(report.points[before]);
    }
    open(changes);
  }

  function calm() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  // Building

  function start() {
    const place = document.getElementById("viewer-body");
    const anything = report.points.some((point) => point.there.length);
    if (!anything) {
      place.append(missing());
      document.querySelector("#viewer .hint").hidden = true;
      return;
    }
    box = element("div", {
      class: "viewer",
      tabindex: "0",
      role: "group",
      "aria-describedby": "viewer-keys",
      "aria-label": "Viewer of images",
    });
    place.append(box);
    box.append(
      element("div", { class: "viewer-bar", id: "viewer-choice" }),
      element("div", { class: "viewer-bar", id: "viewer-modes" }),
      (stagePlace = element("div", { class: "panes" })),
      element("p", { class: "visually-hidden", "aria-live": "polite", id: "viewer-said" }),
      element("div", { class: "facts-row", id: "viewer-facts" }),
      element("p", { class: "credit", id: "viewer-credit" }),
      element("div", { class: "strip", role: "group", "aria-label": "Images" }),
      keysHelp(),
    );
    box.addEventListener("keydown", pressed);
    new ResizeObserver(place_).observe(stagePlace);
    matchMedia("print").addEventListener("change", place_);
    draw();
    Page.listen((changed) => {
      const has = (...keys) => keys.some((key) => changed.has(key));
      if (has("picture", "a", "b", "equal", "mode", "pair", "seed", "gain")) draw();
      else if (has("off") && Page.state.mode === "grid") draw();
      else {
        if (has("blink", "every", "labels")) {
          blink();
          modes();
          stagePlace.classList.toggle("unlabelled", Page.state.labels === "0");
        }
        if (has("show")) {
          showSide();
          modes();
          facts();
        }
        if (has("split")) splitAt();
        if (has("view")) place_();
      }
    });
  }

  function missing() {
    const lines = [element("p", {}, "This page has no images to show: ")];
    for (const run of report.runs) {
      const which = report.runs.length > 1 ? `Run ${run.number}` : "The run";
      if (!run.kept) {
        lines.push(
          element("p", {}, `${which} was made without --keep-reconstructions. To look at the images, make it anew:`),
          element("div", { class: "command" }, element("code", {}, run.again)),
        );
      }
    }
    const problem = report.pictures.map((picture) => picture.problem).find(Boolean);
    if (problem) lines.push(element("p", {}, `Originals: ${problem}.`));
    return element("div", { class: "notice" }, ...lines);
  }

  // The choice of image and points

  function choice() {
    const place = document.getElementById("viewer-choice");
    const index = image();
    const a = pointA();
    const b = pointB();
    const of = (side, point) => {
      const name = side === "a" ? "A" : "B";
      const codecs = report.codecs.map((codec, i) => [String(i), codec.label]);
      const qualities = Page.of(report.points[point].codec).map((p) => [
        Page.key(report.points[p]),
        report.points[p].name,
      ]);
      const chooseCodec = (codec) =>
        Page.set({ [side]: Page.key(report.points[Page.nearest(point, Number(codec), index)]) });
      const chooseQuality = (key) => Page.set(side === "b" ? { b: key, equal: "0" } : { a: key });
      return element(
        "span",
        { class: `pick pick-${side}` },
        select(name, codecs, String(report.points[point].codec), chooseCodec),
        select("quality", qualities, Page.key(report.points[point]), chooseQuality),
      );
    };
    const stochastic = [a, b].some((point) => report.points[point].seeds.length > 1);
    const parts = [
      element(
        "span",
        { class: "pick" },
        button("‹", "Previous image", () => step(-1)),
        select(
          "image",
          Page.around(withPictures, withPictures.indexOf(index)).map((i) => [
            report.pictures[i].name,
            report.pictures[i].name,
          ]),
          report.pictures[index].name,
          (name) => Page.set({ picture: name }),
        ),
        button("›", "Next image", () => step(1)),
      ),
      of("a", a),
      of("b", b),
      check("B at A's bits", Page.state.equal === "1", (on) =>
        Page.set({ equal: on ? "1" : "0", b: Page.key(report.points[b]) }),
      ),
    ];
    if (stochastic) {
      parts.push(
        element(
          "span",
          { class: "pick" },
          button(
            `seed ${report.points[a].seeds[seedOf(a)] ?? report.points[b].seeds[seedOf(b)]}`,
            "Next decoder seed",
            nextSeed,
          ),
          button(cycling ? "❚❚" : "▶", cycling ? "Stop cycling seeds" : "Cycle through the decoder seeds", cycle),
        ),
      );
    }
    replace(place, parts);
  }

  // Focus stays on the button or list that was used, although all are made anew.
  function replace(place, parts) {
    const all = [...place.querySelectorAll("select, button, input")];
    const at = all.indexOf(document.activeElement);
    place.replaceChildren(...parts);
    if (at >= 0) {
      const now = place.querySelectorAll("select, button, input")[at];
      if (now) now.focus({ preventScroll: true });
    }
  }

  function button(text, label, press, pressed_ = null) {
    return element(
      "button",
      {
        type: "button",
        title: label,
        "aria-label": label,
        onclick: press,
        "aria-pressed": pressed_ === null ? null : String(pressed_),
      },
      text,
    );
  }

  function modes() {
    const place = document.getElementById("viewer-modes");
    const mode = Page.state.mode;
    const parts = [
      element(
        "span",
        { class: "segments", role: "group", "aria-label": "How they are shown" },
        ...MODES.map(([name, title]) =>
          element(
            "button",
            { type: "button", "aria-pressed": String(name === mode), onclick: () => Page.set({ mode: name }) },
            title,
          ),
        ),
      ),
    ];
    if (mode === "flip") {
      parts.push(
        element(
          "span",
          { class: "segments", role: "group", "aria-label": "Shown now" },
          ...["o", "a", "b"].map((side) =>
            element(
              "button",
              {
                type: "button",
                class: `side-${side}`,
                "aria-pressed": String(Page.state.show === side),
                onclick: () => only(side),
              },
              side === "o" ? "original" : SIDES[side],
            ),
          ),
        ),
      );
    }
    if (mode === "flip") {
      const on = Page.state.blink === "1";
      parts.push(
        element(
          "span",
          { class: "pick" },
          button(on ? "❚❚ stop" : "▶ blink", on ? "Stop blinking" : "Blink between two images", toggleBlink, on),
          select(
            "every",
            [
              ["250", "¼ s"],
              ["500", "½ s"],
              ["1000", "1 s"],
              ["2000", "2 s"],
            ],
            Page.state.every,
            (every) => Page.set({ every }),
          ),
        ),
      );
    }
    if (mode === "slide" || mode === "flip") {
      parts.push(
        select(
          "between",
          [
            ["ab", "A and B"],
            ["oa", "original and A"],
            ["ob", "original and B"],
          ],
          Page.state.pair,
          (pair) => Page.set({ pair }),
        ),
      );
    }
    if (mode === "difference") {
      parts.push(
        select(
          "times",
          ["1", "2", "4", "8", "16"].map((g) => [g, `× ${g}`]),
          Page.state.gain,
          (gain) => Page.set({ gain }),
        ),
      );
    }
    const heat = map();
    if (heat) {
      parts.push(
        element(
          "span",
          { class: "scale", role: "img", "aria-label": `Colours from 0, black, to ${heat.top}, light yellow` },
          element("span", {}, "0"),
          element("span", { class: "ramp" }),
          element("span", {}, `${heat.top} and more`),
        ),
      );
    }
    parts.push(check("labels", Page.state.labels === "1", (on) => Page.set({ labels: on ? "1" : "0" })));
    parts.push(
      element(
        "span",
        { class: "zooms" },
        button("−", "Zoom out", () => zoomStep(-1)),
        element("output", { id: "viewer-zoom" }),
        button("+", "Zoom in", () => zoomStep(1)),
        button("1:1", "One pixel of the image on one of the screen", () => zoomTo(1)),
        button("fit", "All of the image", () => Page.set({ view: "" })),
        document.fullscreenEnabled ? button("full screen", "Full screen", full) : null,
      ),
    );
    replace(place, parts.filter(Boolean));
    zoomText();
  }

  function full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else box.requestFullscreen();
  }

  // Panes. A stage has the image's size in pixels and is scaled and moved as a whole.

  function layers(names, kind) {
    const { width, height } = report.pictures[image()];
    const stage = element("div", { class: `stage ${kind}`, style: { width: `${width}px`, height: `${height}px` } });
    for (const [side, source, extra] of names) {
      stage.append(
        element("img", {
          src: Page.source(source),
          width,
          height,
          alt: describe(side),
          class: `layer ${extra || ""}`,
          "data-side": side,
          draggable: "false",
          decoding: "async",
        }),
      );
    }
    return stage;
  }

  function describe(side) {
    const name = report.pictures[image()].name;
    return side === "o" ? `${name}, original` : `${name}, ${Page.label(report.points[pointOf(side)])}`;
  }

  function pane(title, stages, side) {
    const made = element(
      "div",
      { class: "pane" },
      ...stages,
      title ? element("span", { class: `tag tag-${side}` }, title) : null,
    );
    listenTo(made);
    return { pane: made, stages: [...made.querySelectorAll(".stage")] };
  }

  function absent(side) {
    const index = image();
    const point = report.points[pointOf(side)];
    const why = point.failed[String(index)];
    return element("p", { class: "absent" }, why ? `failed: ${why}` : "no reconstruction of this image was kept");
  }

  function title(side) {
    if (side === "o") return "original";
    const point = report.points[pointOf(side)];
    const seed = point.seeds.length > 1 ? `, seed ${point.seeds[seedOf(pointOf(side))]}` : "";
    const whose = SIDES[side] ? `${SIDES[side]}: ` : "";
    return `${whose}${report.codecs[point.codec].label} ${point.name}${seed}`;
  }

  function build() {
    const known = MODES.some(([name]) => name === Page.state.mode);
    const mode = known ? Page.state.mode : "flip";
    const one = (side, stage) => pane(title(side), [stage || absent(side)], side);
    if (mode === "side") {
      return ["o", "a", "b"].map((side) => one(side, file(side) && layers([[side, file(side)]], "")));
    }
    if (mode === "grid") {
      const pixels = report.pixels[image()];
      return ["o", ...gridSides()].map((side) => {
        const bytes = side === "o" ? null : report.points[pointOf(side)].bytes[image()];
        const bits = bytes && pixels ? ` · ${number((8 * bytes) / pixels, 3)} bpp` : "";
        return pane(title(side) + bits, [file(side) ? layers([[side, file(side)]], "") : absent(side)], side);
      });
    }
    if (mode === "difference") {
      return ["a", "b"].map((side) => {
        const stage =
          file(side) &&
          layers(
            [
              ["o", file("o")],
              [side, file(side), "over"],
            ],
            "difference",
          );
        if (stage) stage.style.filter = `brightness(${Page.state.gain})`;
        return pane(`${title(side)} − original`, [stage || absent(side)], side);
      });
    }
    const heat = map();
    if (heat) {
      return ["a", "b"].map((side) => one(side, file(side) && layers([[side, file(side, heat.folder)]], "map")));
    }
    if (mode === "slide") {
      const [left, right] = Page.state.pair.split("");
      const clip = element("div", { class: "clip" }, file(right) ? layers([[right, file(right)]], "") : absent(right));
      const made = pane(null, [file(left) ? layers([[left, file(left)]], "") : absent(left), clip], left);
      made.pane.append(
        element("span", { class: `tag tag-${left}` }, title(left)),
        element("span", { class: `tag right tag-${right}` }, title(right)),
        handle(made.pane),
      );
      return [made];
    }
    const sides = ["o", "a", "b"].filter((side) => file(side));
    const made = pane(
      "",
      [
        layers(
          sides.map((side) => [side, file(side)]),
          "flip",
        ),
      ],
      "a",
    );
    for (const side of ["a", "b"]) {
      if (!file(side)) {
        const note = absent(side);
        note.dataset.side = side;
        made.pane.append(note);
      }
    }
    made.pane.append(element("span", { class: "tag" }));
    return [made];
  }

  function draw() {
    for (const side of ["o", "a", "b", ...(Page.state.mode === "grid" ? gridSides() : [])]) preload(file(side));
    choice();
    modes();
    panes = build();
    stagePlace.className = `panes panes-${Page.state.mode === "grid" ? "grid" : panes.length}`;
    stagePlace.classList.toggle("unlabelled", Page.state.labels === "0");
    stagePlace.replaceChildren(...panes.map((made) => made.pane));
    blink();
    showSide();
    splitAt();
    place_();
    facts();
    fillStrip(box.querySelector(".strip"));
    for (const thumb of box.querySelectorAll(".strip button")) {
      const current = Number(thumb.dataset.image) === image();
      thumb.setAttribute("aria-current", String(current));
      if (current)
        thumb.parentElement.scrollLeft = thumb.offsetLeft - thumb.parentElement.clientWidth / 2 + thumb.offsetWidth / 2;
    }
  }

  // Decoded ahead of need, so that flipping shows no half-drawn image.
  const ready = new Map();

  function preload(address) {
    if (!address || ready.has(address)) return;
    const picture = new Image();
    picture.src = Page.source(address);
    picture.decode().catch(() => ready.delete(address));
    ready.set(address, picture);
    if (ready.size > 24) ready.delete(ready.keys().next().value);
  }

  function showSide() {
    if (Page.state.mode !== "flip" || !panes.length) return;
    const { pane: made } = panes[0];
    const now = lit ?? Page.state.show;
    for (const part of made.querySelectorAll("[data-side]"))
      part.classList.toggle("shown", part.dataset.side === now);
    const tag = made.querySelector(".tag");
    tag.textContent = visible(title(now));
    tag.className = `tag tag-${now}`;
    if (lit === null) document.getElementById("viewer-said").textContent = visible(describe(now));
  }

  // Blinking: two images by turns, at most twice each a second, which is below what can harm.

  function blink() {
    clearInterval(blinking);
    blinking = 0;
    lit = null;
    if (Page.state.blink === "1" && Page.state.mode === "flip") {
      const [first, second] = Page.state.pair.split("");
      lit = first;
      blinking = setInterval(() => {
        lit = lit === first ? second : first;
        showSide();
      }, Number(Page.state.every));
    }
    showSide();
  }

  function toggleBlink() {
    const on = Page.state.blink === "1" && Page.state.mode === "flip";
    Page.set({ mode: "flip", blink: on ? "0" : "1" });
  }

  // Whoever asks for one side has seen enough of the turns.
  function only(show) {
    Page.set({ mode: "flip", blink: "0", show });
  }

  // The slider

  function handle(inside) {
    const made = element("div", {
      class: "handle",
      role: "slider",
      tabindex: "0",
      "aria-label": "Where the two meet",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    });
    made.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      made.setPointerCapture(event.pointerId);
    });
    made.addEventListener("pointermove", (event) => {
      if (!made.hasPointerCapture(event.pointerId)) return;
      const place = inside.getBoundingClientRect();
      Page.set({ split: Math.min(1, Math.max(0, (event.clientX - place.left) / place.width)).toFixed(3) });
    });
    made.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (way === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      Page.set({ split: Math.min(1, Math.max(0, Number(Page.state.split) + way)).toFixed(3) });
    });
    return made;
  }

  function splitAt() {
    const line = stagePlace.querySelector(".handle");
    if (!line) return;
    const share = 100 * Number(Page.state.split);
    line.style.left = `${share}%`;
    line.setAttribute("aria-valuenow", String(Math.round(share)));
    stagePlace.querySelector(".clip").style.clipPath = `inset(0 0 0 ${share}%)`;
  }

  // Zoom and pan, the same in all panes

  function fitZoom() {
    const { width, height } = report.pictures[image()];
    const room = panes[0].pane.getBoundingClientRect();
    return Math.min(room.width / width, room.height / height) * devicePixelRatio;
  }

  function view() {
    const [x, y, zoom] = Page.state.view ? Page.state.view.split(",").map(Number) : [0.5, 0.5, 0];
    return { x: Number.isFinite(x) ? x : 0.5, y: Number.isFinite(y) ? y : 0.5, zoom: zoom > 0 ? zoom : fitZoom() };
  }

  function place_() {
    if (!panes.length || !panes[0].pane.isConnected) return;
    const { x, y, zoom } = view();
    const { width, height } = report.pictures[image()];
    const scale = zoom / devicePixelRatio;
    for (const made of panes) {
      const room = made.pane.getBoundingClientRect();
      const left = offset(room.width, width * scale, x);
      const top = offset(room.height, height * scale, y);
      for (const stage of made.stages) {
        stage.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
        stage.classList.toggle("pixels", zoom >= 1);
      }
    }
    zoomText();
  }

  // Whole screen pixels, so that one to one stays sharp.
  function offset(room, size, centre) {
    const wanted = size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, room / 2 - centre * size));
    return Math.round(wanted * devicePixelRatio) / devicePixelRatio;
  }

  function zoomText() {
    const output = document.getElementById("viewer-zoom");
    if (output && panes.length) output.textContent = `${Math.round(view().zoom * 100)} %`;
  }

  function setView(x, y, zoom) {
    const { width, height } = report.pictures[image()];
    const room = panes[0].pane.getBoundingClientRect();
    const half = (size, length) => Math.min(0.5, (size * devicePixelRatio) / (2 * length * zoom));
    const inside = (centre, least) => Math.min(1 - least, Math.max(least, centre));
    const [cx, cy] = [inside(x, half(room.width, width)), inside(y, half(room.height, height))];
    Page.set({ view: `${cx.toFixed(4)},${cy.toFixed(4)},${Number(zoom.toPrecision(4))}` });
  }

  // The point of the image under (left, top) of a pane stays where it is.
  function zoomAt(zoom, left = null, top = null) {
    const now = view();
    const limited = Math.min(STEPS[STEPS.length - 1], Math.max(Math.min(STEPS[0], fitZoom()), zoom));
    const { width, height } = report.pictures[image()];
    const room = panes[0].pane.getBoundingClientRect();
    const [dx, dy] = [(left ?? room.width / 2) - room.width / 2, (top ?? room.height / 2) - room.height / 2];
    const shift = devicePixelRatio * (1 / now.zoom - 1 / limited);
    setView(now.x + (dx * shift) / width, now.y + (dy * shift) / height, limited);
  }

  function zoomStep(way) {
    const now = view().zoom;
    const next =
      way > 0 ? STEPS.find((step_) => step_ > now * 1.01) : [...STEPS].reverse().find((step_) => step_ < now * 0.99);
    if (next) zoomAt(next);
  }

  function zoomTo(zoom) {
    zoomAt(zoom);
  }

  function pan(dx, dy) {
    const now = view();
    const { width, height } = report.pictures[image()];
    const scale = now.zoom / devicePixelRatio;
    setView(now.x - dx / (width * scale), now.y - dy / (height * scale), now.zoom);
  }

  function listenTo(made) {
    const fingers = new Map();
    made.addEventListener(
      "wheel",
      (event) => {
        // Without focus the wheel scrolls the page; with it, or with Ctrl, it zooms.
        if (!box.contains(document.activeElement) && !event.ctrlKey) return;
        event.preventDefault();
        const place = made.getBoundingClientRect();
        zoomAt(
          view().zoom * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022)),
          event.clientX - place.left,
          event.clientY - place.top,
        );
      },
      { passive: false },
    );
    made.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      box.focus({ preventScroll: true });
      made.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      made.classList.add("held");
    });
    made.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      if (fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
        const spread = (finger) => Math.hypot(finger[0] - other[0], finger[1] - other[1]);
        const place = made.getBoundingClientRect();
        zoomAt(
          (view().zoom * spread(now)) / Math.max(spread(before), 1),
          (now[0] + other[0]) / 2 - place.left,
          (now[1] + other[1]) / 2 - place.top,
        );
      } else pan(now[0] - before[0], now[1] - before[1]);
      fingers.set(event.pointerId, now);
    });
    const up = (event) => {
      fingers.delete(event.pointerId);
      if (!fingers.size) made.classList.remove("held");
    };
    made.addEventListener("pointerup", up);
    made.addEventListener("pointercancel", up);
    made.addEventListener("dblclick", () => (Page.state.view ? Page.set({ view: "" }) : zoomAt(4)));
  }

  // Keys, inside the viewer only

  function step(way) {
    const at = withPictures.indexOf(image());
    const next = withPictures[(at + way + withPictures.length) % withPictures.length];
    Page.set({ picture: report.pictures[next].name });
  }

  function nextSeed() {
    const most = Math.max(...[pointA(), pointB()].map((point) => report.points[point].seeds.length), 1);
    Page.set({ seed: String((Number(Page.state.seed) + 1) % most) });
  }

  function cycle() {
    clearInterval(cycling);
    cycling = cycling ? 0 : setInterval(nextSeed, 500);
    choice();
  }

  // A's next point on its curve; what is compared with it follows in bits.
  function otherPoint(way) {
    const own = Page.of(report.points[pointA()].codec);
    const next = own[own.indexOf(pointA()) + way];
    if (next !== undefined) Page.set({ a: Page.key(report.points[next]) });
  }

  function flip() {
    only((lit ?? Page.state.show) === "a" ? "b" : "a");
  }

  function pressed(event) {
    if (event.target.matches("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
    const own = event.target === box || event.target.matches(".handle");
    const move = 60;
    const keys = {
      o: () => only("o"),
      a: () => only("a"),
      b: () => only("b"),
      1: () => only("o"),
      2: () => only("a"),
      3: () => only("b"),
      n: () => step(1),
      p: () => step(-1),
      s: nextSeed,
      g: () => Page.set({ mode: Page.state.mode === "grid" ? "flip" : "grid" }),
      k: toggleBlink,
      l: () => Page.set({ labels: Page.state.labels === "1" ? "0" : "1" }),
      ",": () => otherPoint(-1),
      ".": () => otherPoint(1),
      f: full,
      "+": () => zoomStep(1),
      "=": () => zoomStep(1),
      "-": () => zoomStep(-1),
      0: () => Page.set({ view: "" }),
      m: () => {
        const names = MODES.map(([name]) => name);
        Page.set({ mode: names[(names.indexOf(Page.state.mode) + 1) % names.length] });
      },
    };
    if (own) {
      Object.assign(keys, {
        " ": flip,
        ArrowLeft: () => pan(move, 0),
        ArrowRight: () => pan(-move, 0),
        ArrowUp: () => pan(0, move),
        ArrowDown: () => pan(0, -move),
      });
    }
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  function keysHelp() {
    const rows = [
      ["o, a, b", "original, A, B"],
      ["space", "flip between A and B"],
      ["n, p", "next, previous image"],
      ["k", "blink"],
      ["g", "all codecs"],
      [", .", "fewer, more bits"],
      ["m", "next way of showing"],
      ["l", "labels"],
      ["+, −, 0", "zoom in, out, all of it"],
      ["arrows", "move"],
      ["s", "next decoder seed"],
      ["f", "full screen"],
    ];
    const list = element("span", { class: "keys", id: "viewer-keys" });
    for (const [name, what] of rows) list.append(element("span", {}, element("kbd", {}, name), ` ${what}`));
    return list;
  }

  // What the numbers say of this image

  function facts() {
    const index = image();
    const place = document.getElementById("viewer-facts");
    const [a, b] = [pointA(), pointB()].map((point) => report.points[point]);
    const shown = report.metrics.filter((metric) => metric.kind !== "set" && metric.name !== "bpp");
    const pixels = report.pixels[index];
    const rows = element("tbody");
    const grid = Page.state.mode === "grid";
    const entries = grid ? gridSides().map((side) => [side, report.points[pointOf(side)]]) : [["a", a], ["b", b]];
    for (const [side, point] of entries) {
      const bytes = point.bytes[index];
      const than = point !== a && bytes && a.bytes[index] ? ` (${signed(100 * (bytes / a.bytes[index] - 1), 1)} %)` : "";
      rows.append(
        element(
          "tr",
          {},
          element(
            "th",
            { scope: "row" },
            SIDES[side] ? element("span", { class: `mark mark-${side}` }, SIDES[side]) : null,
            ` ${Page.label(point)}`,
          ),
          element("td", { class: "value" }, `${whole(bytes)}${than}`),
          element("td", { class: "value" }, bytes && pixels ? number((8 * bytes) / pixels, 3) : "–"),
          ...shown.map((metric) => {
            const of = (p) => (p.images[metric.name] || [])[index] ?? null;
            const value = of(point);
            const others = entries.map((entry) => entry[1]).filter((p) => p !== point).map(of);
            const best =
              value !== null &&
              others.length &&
              others.every((other) => other !== null && (metric.higher ? value > other : value < other));
            return element("td", { class: `value ${best ? "best" : ""}` }, number(value, metric.decimals));
          }),
        ),
      );
    }
    const head = element(
      "tr",
      {},
      element("th", { scope: "col" }, report.pictures[index].name),
      element("th", { scope: "col", class: "value" }, "bytes"),
      element("th", { scope: "col", class: "value" }, "bpp"),
      ...shown.map((metric) =>
        element("th", { scope: "col", class: "value" }, `${metric.title} ${metric.higher ? "↑" : "↓"}`),
      ),
    );
    place.replaceChildren(element("table", { class: "data compact" }, element("thead", {}, head), rows));
    const credit = report.pictures[index].credit;
    document.getElementById("viewer-credit").textContent = credit
      ? visible(`Photograph: ${credit}`)
      : "Author and licence of this image are not recorded.";
  }

  // Small views of the images around the one that is shown.
  function fillStrip(made) {
    const shown = Page.around(withPictures, withPictures.indexOf(image()));
    if (made.dataset.from === String(shown[0])) return;
    made.dataset.from = String(shown[0]);
    made.replaceChildren();
    for (const index of shown) {
      const picture = report.pictures[index];
      made.append(
        element(
          "button",
          {
            type: "button",
            "data-image": index,
            title: picture.name,
            "aria-label": picture.name,
            onclick: () => Page.set({ picture: picture.name }),
          },
          element("img", { src: Page.source(picture.small), alt: "", loading: "lazy", height: 56 }),
        ),
      );
    }
  }

  return { start, open, openPoint };
})();
