/* Player, cursor and zoom of a recording's page. What it shows is in the element "data", as JSON. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const audio = at("audio"), tracks = at("tracks"), cursor = at("cursor"), whole = data.seconds;
  const buttons = [...document.querySelectorAll(".seg")];
  const shortest = Math.min(whole, Math.max(1, whole / 200));
  let from = 0, to = whole, now = 0, stop = null, current = null;

  const clock = (seconds) => {
    const tenths = Math.round(seconds * 10), rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
    const minutes = Math.floor(tenths / 600), hours = Math.floor(minutes / 60);
    return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  };
  const numbers = (text) => Float32Array.from(atob(text), (letter) => letter.charCodeAt(0) / 255);
  const gutter = () => parseFloat(getComputedStyle(tracks).getPropertyValue("--gutter"));
  const lane = () => at("wave").getBoundingClientRect();

  // Waveforms, from peaks that the page brings: nothing is decoded to draw them.
  const wave = WaveSurfer.create({
    container: at("wave"), peaks: data.peaks.map(numbers), duration: whole, height: data.waveHeight,
    waveColor: css("--wave"), progressColor: css("--wave"), cursorWidth: 0, interact: false, hideScrollbar: true,
    autoScroll: false, autoCenter: false, splitChannels: data.peaks.map(() => ({})), maxPeak: data.loudest,
    normalize: true,
  });

  // Probabilities, stacked, or ratings: a chart for each channel.
  const axis = { stroke: () => css("--muted"), grid: { stroke: () => css("--line"), width: 1 },
    ticks: { stroke: () => css("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
  const charts = data.charts.map((chart, number) => new uPlot({
    width: 300, height: chart.height, padding: [8, 0, 0, 0],
    scales: { x: { time: false, range: () => [from, to] }, y: { range: () => chart.range } },
    axes: [{ ...axis, incrs: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600],
        values: (plot, ticks) => ticks.map((tick) => clock(tick).replace(/\.0$/, "")) },
      { ...axis, size: gutter, values: (plot, ticks) => ticks.map((tick) => +tick.toFixed(2)) }],
    series: [{}, ...chart.series.map((one) => ({ label: one.label, stroke: one.color, width: chart.stacked ? 0 : 2,
      fill: chart.stacked ? one.color : undefined, dash: one.dash, points: { show: false }, spanGaps: false }))],
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    hooks: {
      setSelect: [(plot) => {
        if (plot.select.width > 8) {
          selected = true;
          show(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
        }
        if (plot.select.width) plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }],
      setCursor: [(plot) => read(plot, chart)],
    },
  }, [chart.x, ...chart.series.map((one) => one.y)], at(`chart-${number}`)));
  let selected = false;

  function read(plot, chart) {
    const place = plot.cursor.idx;
    if (place == null) { at("readout").textContent = ""; return; }
    const values = chart.series.filter((one) => one.shown[place] != null)
      .map((one) => [one.label, one.shown[place]]).sort((one, other) => other[1] - one[1]);
    const words = values.slice(0, 4).map(([label, value]) => `${label} ${value.toFixed(2)}`).join(", ");
    at("readout").textContent = `${clock(chart.x[place])}: ${words || "no speech"}`;
  }

  function show(start, end) {
    const span = Math.min(whole, Math.max(shortest, end - start));
    from = Math.min(Math.max(0, (start + end - span) / 2), whole - span);
    to = from + span;
    draw();
  }

  function draw() {
    const width = lane().width, span = to - from;
    for (const one of document.querySelectorAll(".stretch")) {
      one.style.width = `${100 * whole / span}%`;
      one.style.left = `${-100 * from / span}%`;
    }
    try { wave.zoom(span < whole ? width / span : 0); wave.setScrollTime(from); } catch { /* drawn once it is ready */ }
    charts.forEach((plot, number) => {
      plot.setSize({ width: gutter() + width, height: data.charts[number].height });
      plot.setScale("x", { min: from, max: to });
    });
    place();
  }

  function place() {
    const share = (now - from) / (to - from);
    cursor.hidden = share < 0 || share > 1;
    cursor.style.left = `${gutter() + share * lane().width}px`;
    at("time").textContent = `${clock(now)} / ${clock(whole)}`;
    const found = data.segments.flatMap(([start, end], number) => (start <= now && now < end ? [number] : []));
    if (String(found) === current) return;
    current = String(found);
    for (const one of document.querySelectorAll(".current")) one.classList.remove("current");
    for (const number of found) {
      for (const one of document.querySelectorAll(`[data-n="${number}"]`)) one.classList.add("current");
    }
  }

  function seek(time) {
    now = Math.min(whole, Math.max(0, time));
    stop = null;
    if (audio) audio.currentTime = now;
    if (now < from || now > to) show(now - (to - from) / 2, now + (to - from) / 2);
    place();
  }

  function play(number) {
    const [start, end] = data.segments[number];
    seek(start + 0.001);
    focus(number, false);
    if (audio) { stop = end; begin(); }
  }

  function focus(number, move = true) {
    buttons.forEach((one, place) => { one.tabIndex = place === number ? 0 : -1; });
    if (move) buttons[number].focus({ preventScroll: true });
  }

  // A pause that comes before the sound has begun ends its beginning: no mistake.
  const begin = () => audio.play().catch((error) => { if (error.name !== "AbortError") throw error; });

  function tick() {
    now = audio.currentTime;
    if (stop !== null && now >= stop) { audio.pause(); now = stop - 0.001; audio.currentTime = now; stop = null; }
    if (now > to) show(now, now + to - from);
    place();
    if (!audio.paused) requestAnimationFrame(tick);
  }

  const toggle = () => {
    if (!audio) return;
    stop = null;
    if (audio.paused) begin(); else audio.pause();
  };
  const zoom = (factor) => {
    const middle = now >= from && now <= to ? now : (from + to) / 2, half = (to - from) * factor / 2;
    show(middle - half, middle + half);
  };
  const next = (step) => {
    const starts = data.segments.map(([start]) => start);
    const beyond = starts.filter((start) => (step > 0 ? start > now + 0.01 : start < now - 0.5));
    if (beyond.length) play(starts.indexOf(step > 0 ? Math.min(...beyond) : Math.max(...beyond)));
  };

  if (audio) {
    audio.addEventListener("play", () => { at("play").textContent = "Pause"; requestAnimationFrame(tick); });
    audio.addEventListener("pause", () => { at("play").textContent = "Play"; });
    audio.addEventListener("seeked", () => { now = audio.currentTime; place(); });
    at("play").addEventListener("click", toggle);
    at("speed").addEventListener("change", (event) => { audio.playbackRate = Number(event.target.value); });
  }
  at("closer").addEventListener("click", () => zoom(0.5));
  at("wider").addEventListener("click", () => zoom(2));
  at("fit").addEventListener("click", () => show(0, whole));
  buttons.forEach((one, place) => { one.tabIndex = place ? -1 : 0; });
  tracks.addEventListener("click", (event) => {
    const button = event.target.closest(".seg");
    if (button) { play(Number(button.dataset.n)); return; }
    if (selected) { selected = false; return; }
    const box = lane();
    if (event.clientX >= box.left) seek(from + (event.clientX - box.left) / box.width * (to - from));
  });
  for (const row of document.querySelectorAll("tr[data-n]")) {
    row.addEventListener("click", () => play(Number(row.dataset.n)));
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inside = event.target.closest("button, select, input, summary, a, .scroll");
    const segment = event.target.closest(".seg");
    if (segment && ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -buttons.length, End: buttons.length }[event.key];
      focus(Math.min(buttons.length - 1, Math.max(0, buttons.indexOf(segment) + step)));
      event.preventDefault();
      return;
    }
    if (inside && !segment && event.key !== "+" && event.key !== "-") return;
    const acts = {
      ArrowLeft: () => seek(now - (event.shiftKey ? 10 : 2)), ArrowRight: () => seek(now + (event.shiftKey ? 10 : 2)),
      n: () => next(1), p: () => next(-1), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
      0: () => show(0, whole), Home: () => seek(0), End: () => seek(whole),
    };
    if (event.key === " " && !segment) toggle();
    else if (acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
  });

  const repaint = () => {
    wave.setOptions({ waveColor: css("--wave"), progressColor: css("--wave") });
    draw();
    charts.forEach((plot) => plot.redraw(false, true));
  };
  wave.on("ready", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  addEventListener("resize", draw);
  addEventListener("beforeprint", () => {
    tracks.style.width = "680px";
    show(0, whole);
    repaint();
  });
  addEventListener("afterprint", () => { tracks.style.width = ""; repaint(); });
  draw();
})();
