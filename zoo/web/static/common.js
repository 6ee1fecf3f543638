/* What all pages share: requests, the header, the token, times and colours. */

export const at = (id) => document.getElementById(id);

/** Make an element: attributes that begin with "on" are listeners, children are elements or texts (never HTML). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export class Refused extends Error {}

/** Ask the server; a refusal becomes an error with its sentence. Asks for the token first where one is needed. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The server does not answer. Is ser web still running?");
  }
  if (answer.status === 401) {
    await login();
    return ask(path, options);
  }
  const content = await answer.json().catch(() => ({ error: `The server answered ${answer.status}` }));
  if (!answer.ok) throw new Refused(content.error ?? `The server answered ${answer.status}`);
  return content;
}

export const send = (path, body, method = "POST") =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true }); // also where the page is left

export function say(text, warn = false) {
  const status = at("status");
  status.textContent = text;
  status.classList.toggle("warning", warn);
}

/** Run what a person asked for; a refusal is shown. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, true);
    return undefined;
  }
}

let entering = null;
let given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) history.replaceState(null, "", location.pathname + location.search); // nobody reads it over a shoulder

/** Exchange the token for a cookie. It comes behind # in the address, which is never sent, or from a person. */
function login() {
  entering ??= (async () => {
    let token = given;
    given = null;
    for (let wrong = false; ; wrong = true) {
      token ??= await askPerson(wrong);
      const answer = await fetch("/api/login", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
      if (answer.ok) break;
      token = null;
    }
    entering = null;
  })();
  return entering;
}

function askPerson(wrong) {
  return new Promise((resolve) => {
    const input = make("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
    const dialog = make("dialog", { "aria-labelledby": "token-title" },
      make("form", { method: "dialog", onsubmit: () => { dialog.remove(); resolve(input.value); } },
        make("h2", { id: "token-title" }, "Token"),
        make("p", {}, wrong ? "That was not the token. " : "", "ser web printed it when it started, in the address behind #token="),
        make("p", { class: "controls" }, make("label", { for: "token" }, "Token"), input,
          make("button", { class: "button primary" }, "Open"))));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  });
}

const PAGES = [["recordings", "/", "Recordings"], ["queue", "/queue", "Label next"], ["training", "/training", "Train"]];

/** Fill the header, and return what the server says of the project. */
export async function begin() {
  const here = document.body.dataset.page;
  const links = PAGES.map(([page, path, name]) =>
    make("a", { href: path, ...(page === here ? { "aria-current": "page" } : {}) }, name));
  const input = make("input", { id: "rater", autocomplete: "off", maxlength: "60", size: "12" });
  document.querySelector("header").append(
    make("a", { class: "skip", href: "#main" }, "Skip to the content"),
    make("nav", { "aria-label": "Pages" }, ...links,
      make("span", { class: "who" }, make("label", { for: "rater" }, "You label as"), input)));
  const state = await ask("/api/state");
  const shown = { ...state, rater: localStorage.getItem("rater") || state.rater };
  input.value = shown.rater;
  input.addEventListener("change", () => {
    localStorage.setItem("rater", input.value.trim());
    location.reload();
  });
  document.querySelector("footer").append(`Model: ${state.model.name} · Folder: ${state.folder}`);
  return shown;
}

export function clock(seconds) {
  const tenths = Math.round(seconds * 10), rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  const minutes = Math.floor(tenths / 600), hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export const percent = (share) => (share == null ? "" : `${Math.round(100 * share)} %`);

/** How sure the model is: its fitted confidence, or else the probability of its emotion. */
export const certainty = (row) => row.confidence ?? (row.emotion ? row.probabilities[row.emotion] : null);

/** Give an element the colour of an emotion, with black or white text, whichever reads better. */
export function tint(element, emotion, colors) {
  const [background, ink] = colors[emotion] ?? ["", ""];
  element.classList.toggle("tinted", background !== "");
  element.style.background = background;
  element.style.color = ink;
  return element;
}
