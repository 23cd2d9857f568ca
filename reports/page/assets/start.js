// Draws all but the curves, which wait for their library.
"use strict";

// On a phone the viewer stands before the curves, for eyes and for the Tab key alike.
const narrow = matchMedia("(max-width: 640px)");

function arrange() {
  const [curves, viewer] = ["curves", "viewer"].map((id) => document.getElementById(id));
  const links = [...document.querySelectorAll(".top nav a")];
  const link = (id) => links.find((one) => one.getAttribute("href") === `#${id}`);
  const first = narrow.matches && Page.report.points.some((point) => point.there.length);
  (first ? curves : viewer).before(first ? viewer : curves);
  link(first ? "curves" : "viewer").before(link(first ? "viewer" : "curves"));
}

narrow.addEventListener("change", arrange);
arrange();
Viewer.start();
Tables.start();
Made.start();
