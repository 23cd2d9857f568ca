// The table of images and codecs at equal bits, and the images that a difference comes from.
"use strict";

const Tables = (() => {
  const { report, metrics, visible, element, select, number, signed, whole } = Page;
  Page.define({ table: "", columns: "", sort: "", order: "worst", one: "", other: "", by: "" }, { order: /^(worst|best)$/ });

  const imageMetrics = report.metrics.filter((metric) => metric.kind !== "set" && metric.name !== "bpp");
  const setMetrics = report.metrics.filter((metric) => report.points.some((point) => point.influence[metric.name]));

  // What a column can show of a point. higher: whether a higher number is better.
  const kinds = [
    { name: "bytes", title: "bytes", higher: false, of: (point) => point.bytes, text: whole },
    ...imageMetrics.map((metric) => ({
      name: metric.name,
      title: metric.title,
      aspect: metric.aspect,
      higher: metric.higher,
      of: (point) => point.images[metric.name] || [],
      text: (value) => number(value, metric.decimals),
    })),
    ...setMetrics.map((metric) => ({
      name: metric.name,
      title: `${metric.title} influence`,
      higher: metric.higher,
      of: (point) => point.influence[metric.name] || [],
      text: (value) => signed(value, Math.max(metric.decimals - 1, 0)),
    })),
  ];

  // The first of those that tell the same of an image.
  function ofAspect(of, aspect) {
    return of.find((one) => one.aspect === aspect);
  }

  function start() {
    if (!report.points.length) return;
    makeFinder();
    drawTable();
    drawDifference();
    Page.listen((changed) => {
      if (["table", "columns", "sort", "order"].some((key) => changed.has(key))) drawTable();
      if (["one", "other", "by"].some((key) => changed.has(key))) drawDifference();
    });
  }

  function pointOptions() {
    return report.points.map((point) => [Page.key(point), Page.label(point)]);
  }

  function middle() {
    const own = Page.of(0);
    return own[Math.floor((own.length - 1) / 2)];
  }

  // The table

  function chosenKinds() {
    const names = Page.state.columns ? Page.state.columns.split(",") : null;
    const first = ["fidelity", "perception"].map((aspect) => ofAspect(imageMetrics, aspect)).filter(Boolean);
    const usual = ["bytes", ...(report.codecs.length > 3 && first.length ? first : imageMetrics).map((m) => m.name)];
    const found = kinds.filter((kind) => (names || usual).includes(kind.name));
    return found.length ? found : kinds.slice(0, 2);
  }

  function drawTable() {
    const base = Page.find(Page.state.table) ?? middle();
    const points = report.codecs
      .map((codec, index) => (index === report.points[base].codec ? base : Page.nearest(base, index)))
      .filter((point) => point !== null);
    const shown = chosenKinds();
    const columns = points.flatMap((point) =>
      shown.map((kind) => ({ point, kind, id: `${kind.name}@${report.codecs[report.points[point].codec].label}` })),
    );
    const worstFirst = ofAspect(shown, "perception") || shown.find((kind) => kind.name !== "bytes") || shown[0];
    const sorted =
      columns.find((column) => column.id === Page.state.sort) ||
      (Page.state.sort === "name" ? null : columns.find((column) => column.kind === worstFirst));
    drawTableTools(base, shown);

    const note = document.getElementById("table-note");
    note.textContent =
      report.codecs.length > 1
        ? "Each codec at its quality whose mean bits are nearest. Bold: the best of a row. " +
          "A press on a number shows the image."
        : "A press on a number shows the image.";

    const top = element(
      "tr",
      {},
      element("th", { scope: "col", rowspan: 2, class: "name" }, sorter("image", null, sorted === null)),
    );
    for (const point of points) {
      const entry = report.points[point];
      const rate = Page.rate(entry);
      top.append(
        element(
          "th",
          { scope: "colgroup", colspan: shown.length, class: "group" },
          element("b", {}, report.codecs[entry.codec].label),
          ` quality ${entry.name}`,
          element("small", {}, rate === null ? "" : ` ${number(rate, 3)} bpp`),
        ),
      );
    }
    const second = element("tr");
    columns.forEach((column, index) => {
      const first = index % shown.length === 0;
      second.append(sortHead(column, sorted, first));
    });

    const body = element("tbody");
    const sought = seek(order(sorted));
    const more = Page.portions(sought, (image) => row(image, points, columns, shown), body, "images");
    const table = element("table", { class: "data pictures" }, element("thead", {}, top, second), body);
    table.addEventListener("click", (event) => {
      const cell = event.target.closest("td[data-point]");
      if (cell) look(Number(cell.dataset.image), Number(cell.dataset.point), points);
    });
    const focused =
      document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.sort : undefined;
    const place = document.getElementById("table-body");
    const left = place.scrollLeft;
    place.replaceChildren(table);
    if (more) place.append(more);
    place.scrollLeft = left;
    if (focused !== undefined) {
      for (const button of place.querySelectorAll("button[data-sort]"))
        if (button.dataset.sort === focused) button.focus();
    }
  }

  // Of many images, those whose name holds what is sought.
  let wanted = "";

  function makeFinder() {
    if (report.pictures.length <= 24) return;
    const find = (event) => {
      wanted = event.target.value;
      drawTable();
    };
    const field = element("input", { type: "search", placeholder: "part of a name", oninput: find });
    document
      .getElementById("table-tools")
      .before(element("label", { class: "choice" }, element("span", {}, "find"), field));
  }

  function seek(images) {
    const text = wanted.toLowerCase();
    return text ? images.filter((image) => report.pictures[image].name.toLowerCase().includes(text)) : images;
  }

  function sorter(title, id, active) {
    const press = () => {
      const again = active && Page.state.order === "worst";
      Page.set({ sort: id || "name", order: again ? "best" : "worst" });
    };
    return element("button", { type: "button", class: "sort", onclick: press, "data-sort": id || "name" }, title);
  }

  function sortHead(column, sorted, first) {
    const active = sorted !== null && sorted.id === column.id;
    // Worst first is descending where lower is better.
    const descending = (Page.state.order === "worst") !== column.kind.higher;
    const head = element(
      "th",
      { scope: "col", class: `value ${first ? "first" : ""}` },
      sorter(column.kind.title, column.id, active),
    );
    if (active) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    return head;
  }

  function order(sorted) {
    const images = report.pictures.map((picture, index) => index);
    if (sorted === null) {
      images.sort((a, b) =>
        report.pictures[a].name.localeCompare(report.pictures[b].name, undefined, { numeric: true }),
      );
      return Page.state.order === "worst" ? images : images.reverse();
    }
    const values = sorted.kind.of(report.points[sorted.point]);
    const sign = (sorted.kind.higher ? 1 : -1) * (Page.state.order === "worst" ? 1 : -1);
    const known = (image) => values[image] !== null && values[image] !== undefined;
    // What has no value stands first: a failure is worse than any number.
    return images.sort(
      (a, b) => (known(a) && known(b) ? sign * (values[a] - values[b]) : Number(known(a)) - Number(known(b))) || a - b,
    );
  }

  function row(image, points, columns, shown) {
    const picture = report.pictures[image];
    const best = new Map(
      shown.map((kind) => {
        const values = points
          .map((point) => kind.of(report.points[point])[image])
          .filter((v) => v !== null && v !== undefined);
        const most = kind.higher ? Math.max(...values) : Math.min(...values);
        return [kind, values.length > 1 && values.filter((v) => v === most).length === 1 ? most : null];
      }),
    );
    const name = element(
      "th",
      { scope: "row", class: "name" },
      element(
        "button",
        { type: "button", class: "picture", onclick: () => look(image, points[0], points) },
        small(picture),
        element("span", {}, picture.name),
      ),
    );
    const cells = columns.map((column, index) => {
      const point = report.points[column.point];
      const failed = point.failed[String(image)];
      const value = column.kind.of(point)[image];
      const first = index % shown.length === 0;
      const text = failed && first ? "failed" : column.kind.text(value ?? null);
      return element(
        "td",
        {
          class: `value ${first ? "first" : ""} ${value !== null && value === best.get(column.kind) ? "best" : ""}`,
          title: failed,
          "data-point": column.point,
          "data-image": image,
        },
        text,
      );
    });
    return element("tr", {}, name, ...cells);
  }

  function look(image, point, points) {
    const beside = points.find((other) => other !== point && report.points[other].codec !== report.points[point].codec);
    Viewer.open({
      image,
      a: Page.key(report.points[point]),
      b: beside === undefined ? null : Page.key(report.points[beside]),
    });
  }

  function drawTableTools(base, shown) {
    const box = document.getElementById("table-tools");
    const chips = element("div", { class: "chips", role: "group", "aria-label": "Columns" });
    for (const kind of kinds) {
      const on = shown.includes(kind);
      const toggle = () => {
        const names = kinds
          .filter((other) => (other === kind ? !on : shown.includes(other)))
          .map((other) => other.name);
        if (names.length) Page.set({ columns: names.join(",") });
        for (const chip of box.querySelectorAll(".chip")) if (chip.textContent === visible(kind.title)) chip.focus();
      };
      chips.append(
        element("button", { type: "button", class: "chip", "aria-pressed": String(on), onclick: toggle }, kind.title),
      );
    }
    box.replaceChildren(
      select("bits of", pointOptions(), Page.key(report.points[base]), (key) => Page.set({ table: key, sort: "" })),
      chips,
    );
  }

  // Differences

  function drawDifference() {
    const section = document.getElementById("differences");
    const firsts = [...new Set(report.pairs.map((pair) => pair.a))];
    if (!firsts.length) {
      section.hidden = true;
      return;
    }
    const asked = Page.find(Page.state.one);
    const one = firsts.includes(asked) ? asked : firsts.includes(middle()) ? middle() : firsts[0];
    const pairs = report.pairs.filter((pair) => pair.a === one);
    const pair = pairs.find((p) => Page.key(report.points[p.b]) === Page.state.other) || pairs[0];
    const names = Object.keys(pair.differences);
    const usual =
      names.find((n) => metrics.get(n).aspect === "perception") || names.find((n) => n !== "bpp") || names[0];
    const name = names.includes(Page.state.by) ? Page.state.by : usual;
    document.getElementById("difference-tools").replaceChildren(
      select(
        "of",
        pointOptions().filter(([key]) => firsts.includes(Page.find(key))),
        Page.key(report.points[one]),
        (key) => Page.set({ one: key }),
      ),
      select(
        "to",
        pairs.map((p) => [Page.key(report.points[p.b]), Page.label(report.points[p.b])]),
        Page.key(report.points[pair.b]),
        (key) => Page.set({ other: key }),
      ),
      select(
        "in",
        names.map((n) => [n, metrics.get(n).title]),
        name,
        (n) => Page.set({ by: n }),
      ),
    );
    drawShares(pair, name);
  }

  function drawShares(pair, name) {
    const metric = metrics.get(name);
    const [a, b] = [report.points[pair.a], report.points[pair.b]];
    const ofSet = metric.kind === "set";
    const found = pair.differences[name];
    const line = document.getElementById("difference-line");
    const body = document.getElementById("difference-body");
    if (!found) {
      line.textContent = "These two have no value over the same images.";
      body.replaceChildren();
      return;
    }
    const bits = Page.rate(a) && Page.rate(b) ? 100 * (Page.rate(a) / Page.rate(b) - 1) : null;
    const clear = found.low !== null && (found.low > 0 || found.high < 0);
    const better = found.value > 0 === metric.higher;
    const ends = `${signed(found.low, metric.decimals)} to ${signed(found.high, metric.decimals)}`;
    line.replaceChildren(
      element("b", {}, `${metric.title} ${signed(found.value, metric.decimals)}`),
      found.low === null
        ? " "
        : ` (95 % interval ${ends}, paired over ${found.images} images): `,
      clear
        ? `${visible(report.codecs[a.codec].label)} is ${better ? "better" : "worse"}`
        : "the interval holds 0, so no difference is shown",
      bits === null
        ? "."
        : `, ${bitsInWords(bits)}.${ofSet ? " Below: how far each picture moves this difference." : ""}`,
    );

    const values = (point) => {
      if (name === "bpp") {
        return report.pictures.map((_, i) =>
          point.bytes[i] && report.pixels[i] ? (8 * point.bytes[i]) / report.pixels[i] : null,
        );
      }
      return (ofSet ? point.influence[name] : point.images[name]) || [];
    };
    const [mine, theirs] = [values(a), values(b)];
    const shares = report.pictures
      .map((_, image) => [image, mine[image], theirs[image]])
      .filter(([, x, y]) => x !== null && y !== null && x !== undefined && y !== undefined)
      .map(([image, x, y]) => [image, x - y]);
    shares.sort((x, y) => Math.abs(y[1]) - Math.abs(x[1]));
    const most = Math.max(shares.length ? Math.abs(shares[0][1]) : 0, 1e-12);
    const list = element("ol", { class: "shares" });
    const item = ([image, share]) => {
      const good = share > 0 === metric.higher;
      const width = `${(50 * Math.abs(share)) / most}%`;
      const bar = element("span", {
        class: `bar ${good ? "good" : "bad"}`,
        style: share > 0 ? { left: "50%", width } : { right: "50%", width },
      });
      const picture = report.pictures[image];
      return element(
        "li",
        {},
        element(
          "button",
          {
            type: "button",
            onclick: () => Viewer.open({ image, a: Page.key(a), b: Page.key(b) }),
          },
          small(picture),
          element("span", { class: "label" }, picture.name),
          element("span", { class: "track", "aria-hidden": "true" }, bar),
          element("span", { class: "value" }, signed(share, metric.decimals)),
        ),
      );
    };
    const more = Page.portions(shares, item, list, "images");
    body.replaceChildren(list, more || "");
  }

  function bitsInWords(percent) {
    if (Math.abs(percent) < 0.05) return "at equal bits";
    return `with ${number(Math.abs(percent), 1)} % ${percent > 0 ? "more" : "fewer"} bits`;
  }

  function small(picture) {
    return picture.small
      ? element("img", { src: Page.source(picture.small), alt: "", loading: "lazy" })
      : element("span", { class: "no-picture" });
  }

  return { start };
})();
