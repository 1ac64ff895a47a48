// The page of a run: exchanges the parts that the server says have changed, draws the
// curves, and stops the recording when it is asked to and has the token.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const seconds = (ms) => Math.round(ms / 1000) + " s";

  // The token stands in the address once, and is kept for this tab alone.
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  const token = sessionStorage.getItem("token");

  // A message says how old the server was when it wrote it. The quickest one so far
  // tells which of our times that is, so that no clock has to be right. Two clocks do
  // not go equally fast either: over days they part by up to 200 us a second.
  const apart = 2e-4;
  let base = Infinity, last = 0, over = false, broken = false;
  const note = (text) => {
    const link = byId("link");
    if (link.textContent !== text) link.textContent = text;
    link.hidden = text === "";
  };
  const watchLink = () => {
    if (over) return note("The run is over: this page stays as it is. tsrun web and the run's directory shows it again.");
    const behind = performance.now() - base - last;
    if (broken) return note("No connection: what is here is old" + (base < Infinity ? " by " + seconds(behind) : "") + ". It is tried again.");
    note(behind > 3000 ? "Behind by " + seconds(behind) + "." : "");
  };
  setInterval(watchLink, 1000);

  // Sections.
  const exchange = (sections) => {
    for (const [name, html] of Object.entries(sections || {})) {
      const at = byId("s-" + name);
      if (at && at.innerHTML !== html) at.innerHTML = html; // written by the server, which escapes what it is told
    }
  };

  // Graphs.
  const graphs = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const logarithmic = byId("log");

  const series = (g) => {
    const tables = [], lines = [{}], bands = [];
    g.curves.forEach((c, i) => {
      const stroke = colour("--k" + (i % 6));
      lines.push({ label: c.name, stroke, width: 1.5, spanGaps: true, points: { show: g.logs || c.x.length < 3 }, paths: c.steps ? uPlot.paths.stepped({ align: 1 }) : null });
      const table = [c.x, c.y];
      if (c.sd) {
        const at = lines.length;
        const edge = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: true };
        lines.push({ ...edge, label: "+ sd" }, { ...edge, label: "− sd" });
        bands.push({ series: [at, at + 1], fill: stroke + "40" });
        table.push(c.y.map((y, k) => y + (c.sd[k] || 0)), c.y.map((y, k) => y - (c.sd[k] || 0)));
      }
      tables.push(table);
    });
    return { lines, bands, data: tables.length === 1 ? tables[0] : uPlot.join(tables) };
  };

  // Numbers have a space between thousands, as everywhere in tsrun.
  const spaced = (v) => String(v).replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, "\u2009"));
  const values = (u, splits) => splits.map((v) => v === null ? "" : spaced(Number(v.toPrecision(10))));
  const axis = (label, size) => ({ label, values, size, stroke: colour("--text"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } });
  const roomFor = (u, texts) => 16 + 8 * Math.max(4, ...(texts || []).map((t) => t.length));

  const wide = (g) => Math.max(260, Math.floor(g.figure.clientWidth));

  // draw makes a plot, anew where its curves are others or it looks otherwise.
  const draw = (g) => {
    g.drawn = true;
    const caption = g.figure.querySelector("figcaption");
    caption.textContent = g.title;
    if (g.simulated) {
      const badge = document.createElement("span");
      badge.className = "badge sim";
      badge.textContent = "SIMULATED";
      caption.append(" ", badge);
    }
    const empty = g.curves.every((c) => c.x.length === 0);
    g.none.hidden = !empty;
    g.none.textContent = g.empty;
    const s = empty ? null : series(g);
    const log = g.logs || g.log && logarithmic.checked;
    const shape = s ? s.lines.slice(1).map((l) => l.label + l.points.show).join("\n") + log : "";
    if (g.plot && (shape !== g.shape || g.stale)) {
      g.plot.destroy();
      g.plot = null;
    }
    g.shape = shape;
    g.stale = false;
    if (!s) return;
    if (g.plot) return g.plot.setData(log ? positive(s.data) : s.data);
    g.plot = new uPlot({
      width: wide(g), height: 260, series: s.lines, bands: s.bands, legend: { live: true },
      scales: { x: g.logs ? { time: false, distr: 3 } : { time: false }, y: log ? { distr: 3 } : { range: (u, low, high) => g.log ? [0, high * 1.05 || 1] : uPlot.rangeNum(low, high, 0.1, true) } },
      axes: [axis(g.x, 36), axis(g.y, roomFor)], cursor: { y: false },
    }, log ? positive(s.data) : s.data, g.figure);
    g.plot.root.querySelectorAll(".u-legend th").forEach((th) => { th.scope = "row"; });
  };

  // positive leaves out what a logarithm cannot show.
  const positive = (data) => data.map((d, i) => i === 0 ? d : d.map((v) => v > 0 ? v : null));

  const graphOf = (change) => {
    let g = graphs.get(change.id);
    if (g) return g;
    let figure = document.querySelector(`[data-graph="${CSS.escape(change.id)}"]`);
    if (!figure) {
      figure = document.createElement("figure");
      figure.dataset.graph = change.id;
      byId("g-" + change.in).append(figure);
    }
    const caption = document.createElement("figcaption"), none = document.createElement("p");
    none.className = "none";
    figure.replaceChildren(caption, none);
    g = { figure, none, curves: [] };
    graphs.set(change.id, g);
    new ResizeObserver(() => g.plot && g.plot.setSize({ width: wide(g), height: 260 })).observe(figure);
    return g;
  };

  const splice = (old, from, next) => old ? old.slice(0, from).concat(next) : next;
  const merge = (change) => {
    const g = graphOf(change);
    Object.assign(g, { title: change.title, x: change.x, y: change.y, log: change.log, logs: change.logs, empty: change.empty, simulated: change.simulated, drawn: false });
    g.curves = change.curves.map((c, i) => {
      const old = g.curves[i] && g.curves[i].name === c.name ? g.curves[i] : {};
      return { name: c.name, steps: c.steps, x: splice(old.x, c.from, c.x), y: splice(old.y, c.from, c.y), sd: c.sd || old.sd ? splice(old.sd, c.from, c.sd || []) : null };
    });
    if (g.log) byId("log-label").hidden = false;
  };
  const paint = () => {
    if (document.hidden) return; // what nobody sees costs nothing
    for (const g of graphs.values()) if (!g.drawn || g.stale) draw(g);
  };
  const repaint = () => {
    for (const g of graphs.values()) g.stale = true;
    paint();
  };
  document.addEventListener("visibilitychange", paint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  logarithmic.addEventListener("change", repaint);

  // Record what is watched.
  const record = byId("record");
  const offerRecord = () => {
    if (!record) return;
    record.hidden = document.querySelector("#s-verdict .state-watching") === null;
    record.disabled = !token;
  };
  if (record) {
    record.addEventListener("click", async () => {
      const told = byId("record-said");
      try {
        const answer = await fetch("/record", { method: "POST", headers: { "X-Tsrun-Token": token } });
        told.textContent = answer.ok ? "It is being recorded." : await answer.text();
      } catch (e) {
        told.textContent = "The server does not answer: press r where it was started.";
      }
    });
  }

  // Stop and keep.
  const button = byId("stop"), ask = byId("ask"), said = byId("stop-said");
  const offer = () => {
    if (!button) return;
    const running = document.querySelector("#s-verdict .state-running") !== null;
    button.hidden = over;
    button.disabled = !running || !token;
    if (over) said.textContent = "";
    else if (!token) said.textContent = "This page can only look: who opens the whole address that tsrun printed can stop the run.";
  };
  if (button) {
    button.addEventListener("click", () => ask.showModal());
    byId("ask-no").addEventListener("click", () => ask.close());
    byId("ask-yes").addEventListener("click", async () => {
      ask.close();
      said.textContent = "Stopping…";
      try {
        const answer = await fetch("/stop", { method: "POST", headers: { "X-Tsrun-Token": token } });
        said.textContent = answer.ok ? "It is being stopped; what was recorded is kept." : await answer.text();
      } catch (e) {
        said.textContent = "The server does not answer: press Ctrl-C where the run was started.";
      }
    });
  }

  const take = (event) => {
    const m = JSON.parse(event.data);
    broken = false;
    base = Math.min(base + apart * Math.max(0, m.at - last), performance.now() - m.at);
    last = m.at;
    if (m.over) over = true;
    if (event.type === "snapshot") for (const g of graphs.values()) g.curves = [];
    exchange(m.sections);
    (m.graphs || []).forEach(merge);
    paint();
    offer();
    offerRecord();
    watchLink();
  };
  const listen = () => {
    const source = new EventSource("/events");
    source.addEventListener("snapshot", (e) => { base = Infinity; take(e); if (over) source.close(); });
    source.addEventListener("change", (e) => { take(e); if (over) source.close(); });
    source.addEventListener("error", () => {
      if (over) return source.close();
      broken = true;
      watchLink();
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
  };
  offer();
  listen();
})();
