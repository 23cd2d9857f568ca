// The verdict of two runs, and command lines that can be copied.
"use strict";

const Made = (() => {
  const { report, element, signed } = Page;

  function open(image, base, next) {
    Viewer.open({ image, a: `${base[0]}=${base[1]}`, b: `${next[0]}=${next[1]}`, equal: false });
  }

  // The image that lost most between two points, by the metric of a row.
  function worst(row) {
    const [base, next] = [row.base, row.new].map((name) => Page.find(`${name[0]}=${name[1]}`));
    if (base === null || next === null) return null;
    const of = (point) => {
      if (row.metric === "bpp") return point.bytes;
      return point.images[row.metric] || point.influence[row.metric] || [];
    };
    const before = of(report.points[base]);
    const after = of(report.points[next]);
    let best = null;
    let most = -Infinity;
    for (let image = 0; image < report.pictures.length; image += 1) {
      if (before[image] === null || after[image] === null || before[image] === undefined) continue;
      const loss = (after[image] - before[image]) * (row.higher ? -1 : 1);
      if (loss > most) [best, most] = [image, loss];
    }
    return best;
  }

  function look(row) {
    const image = row.base ? worst(row) : null;
    if (image === null || JSON.stringify(row.base) === JSON.stringify(row.new)) return element("td", {});
    const name = report.pictures[image].name;
    const show = () => open(image, row.base, row.new);
    return element("td", {}, element("button", { type: "button", class: "quiet", onclick: show, title: name }, "look"));
  }

  function verdict() {
    const body = document.getElementById("verdict-body");
    const found = report.verdict;
    if (!body || !found) return;
    if (found.reason) {
      body.append(
        element("p", { class: "notice" }, `The two runs cannot be judged against each other: ${found.reason}.`),
      );
      return;
    }
    const bad = found.rows.some((row) => row.outcome === "worse");
    body.append(
      element("p", { class: `outcome ${bad ? "worse" : ""}` }, found.verdict),
      element("p", {}, found.summary),
    );
    if (found.moved.length) {
      body.append(element("h3", {}, "Images that moved most"));
      const cards = element("div", { class: "cards" });
      for (const move of found.moved) {
        const picture = report.pictures[move.image];
        const way = move.margins > 0 ? "worse" : "better";
        const text = `${move.metric} ${signed(move.change, 4)} at ${move.base[0]} ${move.base[1]}`;
        cards.append(
          element(
            "button",
            { type: "button", class: "card", onclick: () => open(move.image, move.base, move.new) },
            picture.small ? element("img", { src: Page.source(picture.small), alt: "", loading: "lazy" }) : null,
            element("b", {}, picture.name),
            element("span", {}, text),
            element("span", { class: way }, `${Math.abs(move.margins).toPrecision(3)} margins ${way}`),
          ),
        );
      }
      body.append(cards);
    }
    const all = element("input", { type: "checkbox" });
    const table = element("table", { class: "data verdicts" });
    table.append(
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...found.headers.map((head, index) => element("th", { scope: "col", class: index > 2 ? "value" : "" }, head)),
          element("th", { scope: "col" }, "images"),
        ),
      ),
    );
    const rows = element("tbody");
    for (const row of found.rows) {
      const cells = row.cells.map((cell, index) => element("td", { class: index > 2 ? "value" : "text" }, cell));
      cells[0].classList.add("outcome-cell", row.outcome.replace(" ", "-"));
      const quiet = row.outcome === "same" || row.outcome === "not worse";
      rows.append(element("tr", { class: quiet ? "quiet-row" : "" }, ...cells, look(row)));
    }
    table.append(rows);
    all.addEventListener("change", () => table.classList.toggle("all", all.checked));
    const hidden = found.rows.filter((row) => row.outcome === "same" || row.outcome === "not worse").length;
    if (hidden === found.rows.length) table.classList.add("all");
    else
      body.append(
        element(
          "label",
          { class: "check" },
          all,
          element("span", {}, `show the ${hidden} that are the same or not worse`),
        ),
      );
    body.append(
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Judged numbers" }, table),
    );
    const lines = element("ul");
    for (const line of found.lines) lines.append(element("li", {}, line));
    body.append(element("details", {}, element("summary", {}, "How this was judged"), lines));
  }

  return { start: verdict };
})();
