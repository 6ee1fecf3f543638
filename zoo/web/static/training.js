/* Begin a training, follow it, cancel or resume it, compare before and after, and use its model. */
/* global uPlot */

import { ask, at, attempt, begin, make, percent, say, send } from "./common.js";

const POLL_MS = 1500;
const state = await begin();
const STATES = { running: "at work", done: "finished", cancelled: "cancelled", failed: "failed", interrupted: "interrupted" };
const shown = new Map(); // by number: the last JSON and the article
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

at("methods").append(...Object.entries(state.methods).map(([name, text], n) => make("p", {},
  make("input", { type: "radio", name: "method", id: `method-${name}`, value: name, checked: n === 0 }),
  make("label", { for: `method-${name}` }, text))));

function tested(one) {
  if (one.tested === "speakers") return "tested on speakers it has not learned from";
  return one.tested === "recordings" ? "tested on other recordings, maybe of the same speakers" : "no recordings are left for a test";
}

function button(name, action, number, primary = false) {
  return make("button", { type: "button", class: `button${primary ? " primary" : ""}`, onclick: () => attempt(async () => {
    await send(`/api/training/${number}/${action}`, {});
    say(action === "use" ? "From now on the pages predict with this model." : "");
    if (action === "use") location.reload(); else await poll();
  }) }, name);
}

function buttons(one) {
  if (one.state === "running") return [button("Cancel", "cancel", one.number)];
  if (one.state === "done") {
    return one.in_use ? [make("strong", {}, "In use"), button(`Go back to ${state.model.base}`, "use", "0")]
      : [button("Use this model", "use", one.number, true)];
  }
  return [button("Resume", "resume", one.number)];
}

function draw(article, one) {
  const curves = one.curves.filter((curve) => curve.validation_ua.length > 1);
  article.querySelector(".curve").hidden = !curves.length;
  const plot = article.querySelector(".plot");
  plot.replaceChildren();
  if (!curves.length) return;
  const length = Math.max(...curves.map((curve) => curve.validation_ua.length));
  const last = curves.map((curve) => percent(curve.validation_ua.at(-1))).join(", ");
  plot.setAttribute("aria-label", `Lines of ${curves.length} folds over ${length} epochs; at the end ${last}`);
  const axis = { stroke: css("--muted"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  new uPlot({
    width: Math.max(280, plot.clientWidth || 640), height: 180, legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false }, y: { range: () => [0, 1] } },
    axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100], size: 26, label: "epoch", labelSize: 18 },
      { ...axis, values: (_, ticks) => ticks.map((tick) => `${Math.round(100 * tick)} %`) }],
    series: [{}, ...curves.map(() => ({ stroke: css("--accent"), width: 1.5, points: { size: 5 } }))],
  }, [Array.from({ length }, (_, n) => n + 1),
    ...curves.map((curve) => Array.from({ length }, (_, n) => curve.validation_ua[n] ?? null))], plot);
}

async function compare(article, one) {
  const target = article.querySelector(".comparison");
  if (!one.tested) {
    target.replaceChildren(make("p", {}, "There is no test: all labelled recordings were learned from. With three recordings "
      + "or more, or better three speakers, the next training has one."));
    return;
  }
  target.replaceChildren(make("p", { class: "note" }, "Comparing …"));
  const { comparison } = await ask(`/api/training/${one.number}/comparison`);
  if (!comparison) return;
  const groups = `${comparison.groups} ${one.tested}`;
  const change = comparison.after.ua - comparison.before.ua;
  const words = Math.abs(change) < 5e-3 ? "as before" : `${Math.abs(100 * change).toFixed(0)} points ${change > 0 ? "more" : "less"}`;
  const cells = (before, after) => [make("td", {}, percent(before)), make("td", {}, percent(after))];
  target.replaceChildren(
    make("p", {}, make("strong", {}, `Unweighted accuracy ${percent(comparison.before.ua)} before, ${percent(comparison.after.ua)} after`), `: ${words}.`),
    make("table", {},
      make("caption", {}, `Recall on ${comparison.clips} labelled segments of ${groups}. After: each is predicted by a model that did not `
        + `learn from its ${one.tested.slice(0, -1)}. Few segments give rough figures.`),
      make("thead", {}, make("tr", {}, make("th", { scope: "col", class: "words" }, "Emotion"),
        make("th", { scope: "col" }, `Before (${one.before})`), make("th", { scope: "col" }, "After"))),
      make("tbody", {}, ...comparison.classes.map((name) => make("tr", {}, make("th", { scope: "row", class: "words" }, name),
        ...cells(comparison.before.recalls[name], comparison.after.recalls[name]))))),
    ...comparison.notes.map((note) => make("p", { class: "note" }, note)));
}

function show(one) {
  const text = JSON.stringify(one), before = shown.get(one.number);
  if (before?.text === text) return before.article;
  const article = before?.article ?? at("one").content.firstElementChild.cloneNode(true);
  shown.set(one.number, { text, article });
  article.querySelector("h2").textContent = `Training ${one.number}: ${STATES[one.state]}`;
  article.querySelector(".facts-line").textContent =
    `${state.methods[one.method] ?? one.method} · ${one.clips} labelled segments · ${tested(one)} · begun ${one.started.replace("T", " ").replace("Z", " UTC")}`
    + (one.notes.length ? ` · ${one.notes.join(" ")}` : "");
  const progress = article.querySelector("progress");
  progress.value = one.progress;
  progress.setAttribute("aria-label", `Progress of training ${one.number}`);
  const finished = one.curves.filter((curve) => curve.finished).length;
  article.querySelector(".progress span").textContent = `${percent(one.progress)}, ${finished} of ${one.folds} folds finished`;
  article.querySelector(".progress").hidden = one.state === "done";
  const problem = article.querySelector(".problem");
  problem.hidden = !one.error;
  problem.textContent = one.error;
  article.querySelector(".buttons").replaceChildren(...buttons(one));
  if (one.state === "done" && !article.querySelector(".comparison").children.length) attempt(() => compare(article, one));
  requestAnimationFrame(() => draw(article, one));
  return article;
}

let timer = 0;

async function poll() {
  clearTimeout(timer);
  const { trainings } = await ask("/api/training");
  const articles = trainings.map(show), list = at("trainings");
  if (list.children.length !== articles.length) list.replaceChildren(...articles);
  const busy = trainings.some((one) => one.state === "running");
  at("start").disabled = busy;
  if (busy) timer = setTimeout(() => attempt(poll), POLL_MS);
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const method = new FormData(event.target).get("method");
    await send("/api/training", { method, epochs: at("epochs").valueAsNumber });
    say("Training begins; it goes on when this page is closed.");
    await poll();
  });
});
await attempt(poll);
