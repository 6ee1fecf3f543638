/* The list of recordings: add, record, name the speaker, delete. */

import { ask, at, attempt, begin, clock, make, say, send } from "./common.js";
import { Recorder } from "./recorder.js";

const state = await begin();
const body = document.querySelector("#list tbody");
const mostBytes = 1e6 * state.most_megabytes;

const address = (file) => `/recording?file=${encodeURIComponent(file)}`;

function row(one) {
  const speaker = make("input", { value: one.speaker, "aria-label": `Speaker of ${one.name}`, maxlength: "60", size: "12",
    onchange: () => attempt(async () => {
      await send(`/api/recordings/${encodeURIComponent(one.file)}`, { speaker: speaker.value }, "PATCH");
      say(`Saved: ${speaker.value.trim() || "nobody named"} speaks in ${one.name}.`);
    }) });
  const remove = make("button", { type: "button", class: "button", "aria-label": `Delete ${one.name}`, onclick: () =>
    confirm(`Delete ${one.name}? Its labels stay in labels.csv.`) && attempt(async () => {
      await ask(`/api/recordings/${encodeURIComponent(one.file)}`, { method: "DELETE" });
      await list();
    }) }, "Delete");
  return make("tr", {},
    make("th", { scope: "row", class: "words" }, make("a", { href: address(one.file) }, one.name)),
    make("td", {}, clock(one.seconds)), make("td", { class: "words" }, speaker),
    make("td", { class: "words" }, one.segments === null ? "not opened yet" : one.emotion ?? "no emotion"),
    make("td", {}, `${one.segments ?? ""}`), make("td", {}, `${one.labels}`), make("td", {}, remove));
}

async function list() {
  const found = await ask("/api/recordings");
  body.replaceChildren(...found.recordings.map(row));
  const some = found.recordings.length > 0;
  document.querySelector(".list").hidden = at("downloads").hidden = at("why-speaker").hidden = !some;
  at("empty").hidden = some;
  for (const { error } of found.bad) complain(error);
}

function complain(text) {
  at("errors").hidden = false;
  at("errors").append(make("li", {}, text));
}

/** Send files one after the other; what is refused is listed with the reason. */
async function upload(files) {
  at("errors").replaceChildren();
  at("errors").hidden = true;
  let added = 0;
  for (const file of files) {
    say(`Sending ${file.name} …`);
    try {
      if (file.size > mostBytes) throw new Error(`${file.name}: expected at most ${state.most_megabytes} MB`);
      await ask(`/api/recordings?name=${encodeURIComponent(file.name)}`,
        { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
      added += 1;
    } catch (error) {
      complain(error.message);
    }
  }
  say(added === 1 ? "One recording added." : `${added} recordings added.`);
  await list();
}

at("files").addEventListener("change", (event) => {
  upload([...event.target.files]);
  event.target.value = "";
});
const drop = at("drop");
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (kind === "drop" && event.dataTransfer.files.length) upload([...event.dataTransfer.files]);
  });
}

let recorder = null, timer = 0;

async function startRecording() {
  recorder = new Recorder();
  try {
    await recorder.start(mostBytes, stopRecording);
  } catch (error) {
    recorder = null;
    say(`Recording is not possible: ${error.message}`, true);
    return;
  }
  at("record").textContent = "Stop";
  at("record").classList.add("live");
  say("Recording …");
  timer = setInterval(() => { at("recording-time").textContent = clock(recorder.seconds); }, 200);
}

async function stopRecording() {
  const ended = recorder;
  if (!ended) return;
  recorder = null;
  clearInterval(timer);
  const content = await ended.stop();
  at("record").textContent = "record yourself";
  at("record").classList.remove("live");
  at("recording-time").textContent = "";
  const name = `Recording ${new Date().toLocaleString("sv").replaceAll(":", ".")}.wav`;
  await upload([new File([content], name)]);
}

at("record").addEventListener("click", () => (recorder ? stopRecording() : startRecording()));
drop.hidden = false; // now that somebody listens
await attempt(list);
