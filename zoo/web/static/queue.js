/* Segments to label next, the most wanted first. */

import { ask, at, attempt, begin, certainty, clock, make, percent, say } from "./common.js";
import { Labeller } from "./labeller.js";

const NAMES = {
  random: "segments drawn at random", "least-certain": "those the model is least sure of",
  margin: "those with two close classes", entropy: "those with the most uncertain probabilities",
  "sparse-class": "classes with the fewest labels",
};
const state = await begin();
const audio = at("audio"), body = document.querySelector("#waiting tbody");
let rows = [], current = 0, stop = 0;

const place = (row) => `${row.name}, ${clock(row.start)} to ${clock(row.end)}`;
const guess = (row) => `${row.emotion} (${percent(certainty(row))})`;

function line(row, number) {
  return make("tr", { "data-n": `${number}`, onclick: () => show(number) },
    make("td", {}, `${row.rank}`),
    make("td", { class: "words" }, make("button", { type: "button", class: "play" }, place(row))),
    make("td", { class: "words" }, row.emotion), make("td", {}, percent(certainty(row))),
    make("td", { class: "words mine" }, row.label));
}

function show(number) {
  if (!rows.length) return;
  current = Math.max(0, Math.min(rows.length - 1, number));
  const row = rows[current];
  audio.pause();
  const source = `/api/recordings/${encodeURIComponent(row.file)}/audio`;
  if (audio.getAttribute("src") !== source) audio.src = source;
  at("card-title").textContent = `${current + 1} of ${rows.length}: ${place(row)}`;
  at("now").textContent = `Model: ${guess(row)}. Your label: ${row.label || "none yet"}.`;
  at("open").href = `/recording?file=${encodeURIComponent(row.file)}`;
  [...body.children].forEach((one, n) => one.classList.toggle("current", n === current));
  labeller.show(row);
}

function play() {
  if (!audio.paused) { audio.pause(); return; }
  const row = rows[current];
  if (audio.currentTime < row.start || audio.currentTime >= row.end - 0.05) audio.currentTime = row.start;
  stop = row.end;
  audio.play().catch(() => say("This browser cannot play the format of this recording", true));
}

audio.addEventListener("timeupdate", () => { if (stop && audio.currentTime >= stop) audio.pause(); });
for (const kind of ["play", "pause"]) {
  audio.addEventListener(kind, () => { at("play").textContent = audio.paused ? "Play" : "Pause"; });
}
at("play").addEventListener("click", play);

const labeller = new Labeller(state, {
  current: () => rows[current],
  changed: (row) => {
    const number = rows.indexOf(row);
    body.children[number].querySelector(".mine").textContent = row.label;
    if (number === current) show(number);
  },
  select: (row) => show(rows.indexOf(row)),
  move: (step) => show(current + step),
  play,
});

async function load() {
  say("Predicting recordings that were not opened yet may take a while …");
  const found = await ask(`/api/queue?strategy=${at("strategy").value}&count=50`);
  rows = found.queue;
  body.replaceChildren(...rows.map(line));
  at("card").hidden = at("waiting").hidden = at("waiting-title").hidden = !rows.length;
  say(rows.length ? `${rows.length} of ${found.segments} segments wait for a label.`
    : found.segments ? "Every segment with an emotion has a label." : "Add recordings first.");
  show(0);
}

at("strategy").append(...state.strategies.map((name) => make("option", { value: name }, NAMES[name] ?? name)));
at("strategy").value = "least-certain";
at("strategy").addEventListener("change", () => attempt(load));
await attempt(load);
