// Asks which of two copies looks more like the original; order and sides are random, and answers are saved as a file.
"use strict";

(() => {
  const study = window.STUDY;
  const place = (id) => document.getElementById(id);
  const kept = `hfd-benchmark-study-${study.study}`;

  let state = restore() || begin();
  let shownAt = 0;
  let seen = false; // the original, of this pair
  let view = { x: 0.5, y: 0.5 };

  // Chance

  function random(below) {
    return crypto.getRandomValues(new Uint32Array(1))[0] % below;
  }

  function shuffled(items) {
    const mixed = [...items];
    for (let i = mixed.length - 1; i > 0; i -= 1) {
      const j = random(i + 1);
      [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
    }
    return mixed;
  }

  // As many of each pair of codecs at each rate as can be.
  function chosen() {
    const groups = new Map();
    study.questions.forEach((question, index) => {
      const key = JSON.stringify([question.level, question.sides.map((side) => side.codec)]);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(index);
    });
    const rows = shuffled([...groups.values()].map(shuffled));
    const taken = [];
    for (let turn = 0; taken.length < Math.min(study.trials, study.questions.length); turn += 1) {
      for (const row of rows) if (row[turn] !== undefined && taken.length < study.trials) taken.push(row[turn]);
    }
    return shuffled(taken);
  }

  function begin() {
    const asked = chosen().map((index) => ({ kind: "questions", index }));
    const checks = shuffled(study.checks.map((_, index) => index)).slice(0, study.checksEach);
    for (const index of checks) asked.splice(1 + random(asked.length), 0, { kind: "checks", index });
    return {
      voter: [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      asked: asked.map((question) => ({ ...question, swapped: random(2) === 1 })),
      votes: [],
    };
  }

  // A page opened from disk may have no storage; then a reload begins anew.
  // What is kept there, any page of the same place may have written.
  function restore() {
    try {
      const found = JSON.parse(localStorage.getItem(kept));
      const known = (asked) => ["questions", "checks"].includes(asked.kind) && study[asked.kind][asked.index];
      return found.asked.every(known) && found.votes.length <= found.asked.length ? found : null;
    } catch {
      return null;
    }
  }

  function keep() {
    try {
      localStorage.setItem(kept, JSON.stringify(state));
    } catch {
      place("say").textContent = "This browser keeps nothing between visits: do not close the page before saving.";
    }
  }

  // Asking

  function current() {
    const asked = state.asked[state.votes.length];
    const question = study[asked.kind][asked.index];
    return { question, sides: asked.swapped ? [question.sides[1], question.sides[0]] : question.sides };
  }

  function ask() {
    place("welcome").hidden = true;
    const over = state.votes.length >= state.asked.length;
    place("trial").hidden = over;
    place("done").hidden = !over;
    if (over) {
      place("save").focus();
      return;
    }
    const { question, sides } = current();
    place("progress").value = state.votes.length / state.asked.length;
    place("count").textContent = `${state.votes.length + 1} of ${state.asked.length}`;
    seen = false;
    allow();
    view = { x: 0.5, y: 0.5 };
    const pictures = [];
    document.querySelectorAll(".study-panes .stage").forEach((stage, index) => {
      const make = (source, name, alt) => {
        const picture = document.createElement("img");
        Object.assign(picture, { src: source, alt, className: `layer ${name}`, draggable: false });
        pictures.push(picture.decode());
        return picture;
      };
      stage.replaceChildren(
        make(sides[index].file, "copy", `copy ${index + 1}`),
        make(question.original, "original", "original"),
      );
    });
    show(false);
    const settled = () => {
      arrange();
      shownAt = performance.now();
      place("trial").dataset.ready = String(state.votes.length);
    };
    Promise.all(pictures).then(settled, () => {
      place("say").textContent = "An image cannot be shown; tell who asked you.";
    });
  }

  function show(original) {
    if (original) seen = true;
    document.querySelectorAll(".study-panes .layer").forEach((picture) => {
      picture.classList.toggle("shown", picture.classList.contains("original") === original);
    });
    document.querySelectorAll(".study-panes .tag").forEach((tag, index) => {
      tag.textContent = original ? "original" : String(index + 1);
      tag.classList.toggle("original", original);
    });
    if (original) allow();
  }

  // Who has not seen the original cannot say.
  function allow() {
    for (const side of [1, 2]) place(`choose-${side}`).disabled = !seen;
    place("say").textContent = seen ? "" : "Look at the original first: hold the button or the space bar.";
  }

  function answer(choice) {
    if (!seen || place("trial").hidden) return;
    const { question, sides } = current();
    const clean = ({ codec, quality, bytes, metrics }) => ({ codec, quality, bytes, metrics });
    const check = question.level === null;
    state.votes.push({
      picture: question.picture,
      level: question.level,
      first: clean(sides[0]),
      second: clean(sides[1]),
      choice,
      expected: check ? sides.findIndex((side) => side.codec === "") + 1 : null,
      seconds: Math.round(performance.now() - shownAt) / 1000,
    });
    keep();
    ask();
  }

  // One pixel of the image on one of the screen, all of it if it fits; both panes move together.
  function arrange() {
    for (const pane of document.querySelectorAll(".study-panes .pane")) {
      const stage = pane.querySelector(".stage");
      const picture = stage.querySelector("img");
      const scale = 1 / devicePixelRatio;
      const [room, width, height] = [
        pane.getBoundingClientRect(),
        picture.naturalWidth * scale,
        picture.naturalHeight * scale,
      ];
      const offset = (space, size, centre) => (size <= space ? (space - size) / 2 : (space - size) * centre);
      const left = Math.round(offset(room.width, width, view.x));
      const top = Math.round(offset(room.height, height, view.y));
      stage.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    }
  }

  document.querySelectorAll(".study-panes .pane").forEach((pane) => {
    let last = null;
    pane.addEventListener("pointerdown", (event) => {
      pane.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY];
    });
    pane.addEventListener("pointermove", (event) => {
      if (!last) return;
      const picture = pane.querySelector("img");
      const room = pane.getBoundingClientRect();
      const move = (now, before, space, size, centre) =>
        size > space ? Math.min(1, Math.max(0, centre - (now - before) / (size - space))) : centre;
      view.x = move(event.clientX, last[0], room.width, picture.naturalWidth / devicePixelRatio, view.x);
      view.y = move(event.clientY, last[1], room.height, picture.naturalHeight / devicePixelRatio, view.y);
      last = [event.clientX, event.clientY];
      arrange();
    });
    for (const name of ["pointerup", "pointercancel"])
      pane.addEventListener(name, () => {
        last = null;
      });
  });

  function save() {
    const votes = {
      kind: study.kind,
      schema_version: 1,
      study: study.study,
      dataset: study.dataset,
      higher_is_better: study.higher,
      voter: state.voter,
      screen: { width: screen.width, height: screen.height, ratio: devicePixelRatio },
      votes: state.votes,
    };
    const address = URL.createObjectURL(new Blob([JSON.stringify(votes, null, 1)], { type: "application/json" }));
    const link = document.createElement("a");
    Object.assign(link, { href: address, download: `votes-${study.study}-${state.voter}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  place("begin").addEventListener("click", ask);
  place("choose-1").addEventListener("click", () => answer(1));
  place("choose-2").addEventListener("click", () => answer(2));
  place("save").addEventListener("click", save);
  place("save-now").addEventListener("click", save);
  place("again").addEventListener("click", () => {
    state = begin();
    keep();
    ask();
  });
  const original = place("original");
  original.addEventListener("pointerdown", () => show(true));
  for (const name of ["pointerup", "pointerleave", "pointercancel", "blur"])
    original.addEventListener(name, () => show(false));
  document.addEventListener("keydown", (event) => {
    if (place("trial").hidden) return;
    if (event.key === " ") {
      event.preventDefault();
      show(true);
    } else if (!event.repeat && (event.key === "ArrowLeft" || event.key === "1")) answer(1);
    else if (!event.repeat && (event.key === "ArrowRight" || event.key === "2")) answer(2);
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") {
      event.preventDefault();
      if (!place("trial").hidden) show(false);
    }
  });
  addEventListener("resize", () => {
    if (!place("trial").hidden) arrange();
  });
  if (state.votes.length) ask();
})();
