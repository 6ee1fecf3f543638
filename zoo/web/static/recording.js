/* One recording: waveform, spectrogram, segments, probabilities, player, labels. Pictures come from the server. */
/* global WaveSurfer, uPlot */

import { ask, at, attempt, begin, certainty, clock, make, percent, say, tint } from "./common.js";
import { Labeller } from "./labeller.js";

const MOST_PIXELS = 30_000; // wide: browsers draw no larger canvas
const MOST_ZOOM = 400; // pixels a second
const state = await begin();
const file = new URLSearchParams(location.search).get("file") ?? "";
const path = `/api/recordings/${encodeURIComponent(file)}`;
const audio = at("audio"), view = at("view"), stretched = at("stretched"), lane = at("lane");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let rows = [], current = 0, whole = 1, stop = 0, wave = null, chart = null;

const shownEmotion = (row) => row.label || row.emotion || "";
const place = (row) => `${clock(row.start)} to ${clock(row.end ?? whole)}`;
const channelOf = (row) => (row.channel === "mix" ? "" : `channel ${row.channel + 1}, `);
const sure = (row) => (row.emotion ? `${row.emotion} (${percent(certainty(row))})` : "no emotion");

function notes(row) {
  const others = Object.entries(row.votes).map(([label, count]) => `${label} by ${count}`).join(", ");
  const words = [row.reason, row.abstained && "unsure", ...(row.quality?.notes ?? [])];
  if (Object.values(row.votes).reduce((sum, count) => sum + count, 0) > (row.label ? 1 : 0)) words.push(`labels: ${others}`);
  return words.filter(Boolean).join("; ");
}

function block(row, number) {
  const element = make("button", { type: "button", class: "seg", tabindex: "-1", onclick: () => select(number, true) });
  element.style.left = `${(100 * row.start) / whole}%`;
  element.style.width = `${(100 * ((row.end ?? whole) - row.start)) / whole}%`;
  return element;
}

function paint(number) {
  const row = rows[number], block = lane.children[number], cells = at("segments").tBodies[0].children[number].cells;
  block.replaceChildren(make("span", {}, shownEmotion(row) || "–"));
  block.setAttribute("aria-label", `${place(row)}: ${row.label ? `labelled ${row.label}` : sure(row)}`);
  block.classList.toggle("none", !shownEmotion(row));
  block.classList.toggle("labelled", Boolean(row.label));
  tint(block, shownEmotion(row), state.colors);
  cells[3].replaceChildren(...(row.label ? [tint(make("span", { class: "swatch" }), row.label, state.colors), row.label] : []));
}

function line(row, number) {
  const model = row.emotion ? [tint(make("span", { class: "swatch" }), row.emotion, state.colors), row.emotion] : ["–"];
  return make("tr", { "data-n": `${number}`, onclick: () => select(number, true) },
    make("th", { scope: "row", class: "words" },
      make("button", { type: "button", class: "play" }, `${channelOf(row)}${place(row)}`)),
    make("td", { class: "words" }, ...model), make("td", {}, percent(certainty(row))),
    make("td", { class: "words" }), make("td", { class: "words" }, notes(row)));
}

/** Make a segment the current one; move the player to it where a person chose it. */
function select(number, seek) {
  if (!rows.length) return;
  current = Math.max(0, Math.min(rows.length - 1, number));
  const row = rows[current];
  if (seek) { stop = 0; audio.currentTime = row.start; moveCursor(); }
  [...lane.children].forEach((one, n) => one.classList.toggle("current", n === current));
  [...at("segments").tBodies[0].children].forEach((one, n) => one.classList.toggle("current", n === current));
  at("now").textContent =
    `Segment ${current + 1} of ${rows.length}, ${place(row)}. Model: ${sure(row)}. Your label: ${row.label || "none yet"}.`;
  labeller.show(row);
  const left = lane.children[current].offsetLeft;
  if (left < view.scrollLeft || left > view.scrollLeft + view.clientWidth - 40) view.scrollLeft = left - 40;
}

function moveCursor() {
  const now = audio.currentTime;
  at("cursor").style.left = `${(100 * now) / whole}%`;
  at("time").textContent = `${clock(now)} of ${clock(whole)}`;
}

function play() {
  if (!audio.paused) { audio.pause(); return; }
  const row = rows[current];
  stop = row && audio.currentTime >= row.start - 0.01 && audio.currentTime < (row.end ?? whole) - 0.05 ? row.end ?? whole : 0;
  audio.play().catch(() => say("This browser cannot play the format of this recording", true));
}

/** Follow the player: a segment that was begun from is played to its end, the cursor moves smoothly. */
function follow() {
  moveCursor();
  if (stop && audio.currentTime >= stop) {
    audio.pause();
    audio.currentTime = rows[current].start;
    stop = 0;
  }
  if (!audio.paused) requestAnimationFrame(follow);
}

function zoom() {
  const least = view.clientWidth, most = Math.max(least, Math.min(MOST_PIXELS, whole * MOST_ZOOM));
  const width = least * (most / least) ** (at("zoom").value / 100);
  const middle = audio.currentTime / whole;
  stretched.style.width = at("zoom").value === "0" ? "100%" : `${Math.round(width)}px`;
  chart?.setSize({ width: stretched.clientWidth, height: 90 });
  view.scrollLeft = middle * stretched.clientWidth - view.clientWidth / 2;
}

function drawWave(found) {
  wave?.destroy();
  const several = found.peaks.length > 1;
  // Of one channel, the upper half is its highest and the lower half its lowest samples; of several, each is mirrored.
  const halves = several ? found.peaks.map((one) => one.map(([low, high]) => Math.max(-low, high)))
    : [found.peaks[0].map(([, high]) => high), found.peaks[0].map(([low]) => low)];
  const loudest = Math.max(0.01, ...halves.map((half) => half.reduce((most, value) => Math.max(most, Math.abs(value)), 0)));
  wave = WaveSurfer.create({
    container: at("wave"), peaks: halves, duration: whole, height: several ? 56 : 84, waveColor: css("--wave"),
    progressColor: css("--wave"), cursorWidth: 0, interact: false, hideScrollbar: true, autoScroll: false, autoCenter: false,
    maxPeak: loudest, cspNonce: document.querySelector("meta[name=nonce]").content,
    ...(several ? { splitChannels: found.peaks.map(() => ({})) } : {}),
  });
}

/** Draw the probability of each emotion along the recording; a line breaks where there is no speech. */
function drawChart() {
  const known = state.model.classes.filter((name) => rows.some((row) => row.emotion && name in row.probabilities));
  chart?.destroy();
  chart = null;
  if (!known.length || rows.length < 2) return;
  const times = [], values = known.map(() => []);
  for (const row of rows.filter((one) => one.channel === "mix" || one.channel === rows[0].channel)) {
    const end = row.end ?? whole; // at which the next segment may begin
    for (const [time, gap] of [[row.start + 1e-4, false], [end - 1e-4, false], [end, true]]) {
      if (times.length && time <= times.at(-1)) continue;
      times.push(time);
      known.forEach((name, n) => values[n].push(gap || !row.emotion ? null : row.probabilities[name]));
    }
  }
  chart = new uPlot({
    width: stretched.clientWidth, height: 90, padding: [6, 0, 6, 0], legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false, range: () => [0, whole] }, y: { range: () => [0, 1] } }, axes: [{ show: false }, { show: false }],
    series: [{}, ...known.map((name) => ({ stroke: state.colors[name][0], width: 3, points: { show: false } }))],
  }, [times, ...values], at("chart"));
}

const labeller = new Labeller(state, {
  current: () => rows[current],
  changed: (row) => { const n = rows.indexOf(row); paint(n); if (n === current) select(n, false); },
  select: (row) => select(rows.indexOf(row), true),
  move: (step) => select(current + step, true),
  play,
});

async function load() {
  const [found, pictures] = await Promise.all([
    ask(`${path}/segments?rater=${encodeURIComponent(state.rater)}`), ask(`${path}/view`)]);
  const { name, seconds, rate_hz, channels, speaker } = found.recording;
  rows = found.rows;
  whole = seconds;
  document.title = `${name} · ser web`;
  at("title").textContent = name;
  at("facts").textContent = [clock(seconds), `${(rate_hz / 1000).toFixed(1)} kHz`,
    channels > 1 ? `${channels} channels` : "one channel", speaker && `spoken by ${speaker}`].filter(Boolean).join(" · ");
  at("how-sure").textContent = rows.some((row) => row.confidence != null) ? "Confidence" : "Probability";
  at("content").hidden = false;
  audio.src = `${path}/audio`;
  lane.replaceChildren(...rows.map(block));
  at("segments").tBodies[0].replaceChildren(...rows.map(line));
  rows.forEach((_, number) => paint(number));
  at("legend").replaceChildren(...state.classes.map((one) =>
    make("li", {}, tint(make("span", { class: "swatch" }), one, state.colors), one)));
  at("spectra").replaceChildren(...pictures.peaks.map((_, channel) => make("img", { src: `${path}/spectrogram/${channel}.png`,
    alt: `Spectrogram${channels > 1 ? ` of channel ${channel + 1}` : ""}, 0 to ${(pictures.top_hz / 1000).toFixed(0)} kHz` })));
  drawWave(pictures);
  drawChart();
  say(rows.length ? "" : "No speech was found in this recording, so there is nothing to label.");
  select(0, true);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawWave(pictures));
}

at("play").addEventListener("click", play);
at("zoom").addEventListener("input", zoom);
new ResizeObserver(zoom).observe(view);
for (const kind of ["play", "pause"]) {
  audio.addEventListener(kind, () => { at("play").textContent = audio.paused ? "Play" : "Pause"; follow(); });
}
audio.addEventListener("seeked", moveCursor);
stretched.addEventListener("click", (event) => {
  if (event.target.closest(".seg")) return;
  audio.currentTime = (whole * (event.clientX - stretched.getBoundingClientRect().left)) / stretched.clientWidth;
  const number = rows.findIndex((row) => row.start <= audio.currentTime && audio.currentTime < (row.end ?? whole));
  if (number >= 0) select(number, false);
  moveCursor();
});
say("Finding speech and predicting …");
await attempt(load);
