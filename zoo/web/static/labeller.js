/* Choose the label of a segment by button or key, save it at once, and undo. */

import { at, attempt, make, say, send, tint } from "./common.js";

export class Labeller {
  /**
   * classes: emotions to choose from; rater: who labels; hooks: current() gives the segment's row, changed(row) shows it,
   * move(step) goes to another segment, play() plays or pauses.
   */
  constructor(state, hooks) {
    Object.assign(this, { classes: state.classes, rater: state.rater, hooks, done: [], queue: Promise.resolve(), waiting: 0 });
    const buttons = this.classes.map((name, number) => make("button",
      { type: "button", class: "button choice", "data-label": name, onclick: () => this.choose(name) },
      ...(number < 9 ? [make("kbd", { "aria-hidden": "true" }, `${number + 1}`), " "] : []),
      tint(make("span", { class: "swatch", "aria-hidden": "true" }), name, state.colors), name));
    this.none = make("button", { type: "button", class: "button", onclick: () => this.choose("") },
      make("kbd", { "aria-hidden": "true" }, "0"), " no label");
    this.back = make("button", { type: "button", class: "button", disabled: true, onclick: () => this.undo() },
      make("kbd", { "aria-hidden": "true" }, "U"), " undo");
    this.buttons = buttons;
    at("choices").replaceChildren(...buttons, this.none, this.back);
    at("keys").textContent = "Keys: numbers choose, arrows or J and K go to the next and the one before, space plays and pauses, U undoes.";
    document.addEventListener("keydown", (event) => this.onKey(event));
    addEventListener("beforeunload", (event) => this.waiting && event.preventDefault()); // asks before labels are lost
  }

  /** Show which label the current segment has. */
  show(row) {
    for (const button of this.buttons) button.setAttribute("aria-pressed", `${row?.label === button.dataset.label}`);
    for (const button of [...this.buttons, this.none]) button.disabled = !row;
    this.back.disabled = !this.done.length;
  }

  choose(label) {
    const row = this.hooks.current();
    if (!row || row.label === label) return;
    this.done.push({ row, label: row.label });
    this.save(row, label);
    if (label) this.hooks.move(1);
  }

  undo() {
    const last = this.done.pop();
    if (!last) return;
    this.save(last.row, last.label);
    this.hooks.select(last.row);
  }

  /** Show the label, and store it; labels are stored one after the other, in the order they were given. */
  save(row, label) {
    const before = row.label;
    row.label = label;
    this.hooks.changed(row);
    this.waiting += 1;
    say("Saving …");
    this.queue = this.queue.then(() => attempt(async () => {
      const { start, end, channel } = row;
      try {
        await send(`/api/recordings/${encodeURIComponent(row.file)}/labels`,
          { start, end, channel, label, rater: this.rater });
        if (this.waiting === 1) say(label ? `Saved: ${label}.` : "Saved: no label.");
      } catch (error) {
        row.label = before;
        this.done = this.done.filter((one) => one.row !== row);
        this.hooks.changed(row);
        throw error;
      } finally {
        this.waiting -= 1;
      }
    }));
  }

  onKey(event) {
    const typing = event.target.closest("input:not([type=range]), select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase(), number = "123456789".indexOf(key);
    const onButton = event.target.closest("button, a, summary");
    const onSlider = event.target.closest("input");
    if (key.length === 1 && number >= 0) this.classes[number] && this.choose(this.classes[number]);
    else if (key === "0") this.choose("");
    else if (key === "u") this.undo();
    else if (key === "j" || ((key === "arrowright" || key === "arrowdown") && !onSlider)) this.hooks.move(1);
    else if (key === "k" || ((key === "arrowleft" || key === "arrowup") && !onSlider)) this.hooks.move(-1);
    else if (key === " " && !onButton) this.hooks.play();
    else return;
    event.preventDefault();
  }
}
