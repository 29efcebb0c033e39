// Live updates, keys and the reader's zone. Every page is whole without this file.

const body = document.body;
const live = document.querySelector("[data-live-state]");
const help = document.getElementById("help");
let paused = false;

// A reader who has chosen no zone gets the browser's, and sees the page by it at once.
if (!document.cookie.split("; ").some((part) => part.startsWith("sereno_zone="))) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const here = new URL(location.href);
  if (zone && zone !== "UTC" && !here.searchParams.has("zone") && navigator.cookieEnabled) {
    here.searchParams.set("zone", zone);
    location.replace(here);
  }
}

const zones = document.getElementById("zones");
if (zones && Intl.supportedValuesOf) {
  for (const name of Intl.supportedValuesOf("timeZone")) {
    zones.append(new Option(name, name));
  }
}

// -- what is new -------------------------------------------------------------------------------------

// Put what has changed of a newer copy of this page in place of the old, part by part, so that
// what has the focus, is open or is being written is left alone.
function renew(newer) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const found = newer.getElementById(part.id);
    if (!found || found.innerHTML === part.innerHTML) continue;
    if (part.contains(document.activeElement) && document.activeElement !== body) continue;
    if (part.querySelector("details[open], dialog[open]")) continue;
    part.innerHTML = found.innerHTML;
  }
}

const SOONEST = 400, FIRST_GAP = 1000, LAST_GAP = 15000;
let timer = null;
let busy = false;
let lookedAt = 0;
let gap = FIRST_GAP;
let streaming = false;

async function look() {
  timer = null;
  if (paused || document.hidden || busy) return;
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html", "x-sereno-look": "1" } });
    if (answer.ok && answer.url === location.href.split("#")[0]) {
      renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
    show(answer.ok ? "live" : "away");
  } catch {
    show("away");
  } finally {
    busy = false;
    lookedAt = Date.now();
  }
}

// The first news after a rest is shown at once. Where they come without end each look waits longer
// than the one before, so that many open pages do not keep the server busy with themselves; and all
// look in the same moments, by the clock, so that what several show is written once.
function hear() {
  if (timer !== null) return;
  const now = Date.now(), rest = now - lookedAt;
  gap = rest > 2 * gap ? FIRST_GAP : Math.min(gap * 2, LAST_GAP);
  const due = gap === FIRST_GAP ? now + gap - rest : Math.round((now + gap - rest) / gap) * gap;
  timer = setTimeout(look, Math.max(SOONEST, due - now) + SOONEST * (Math.random() - 0.5));
}

function lookNow() {
  clearTimeout(timer);
  timer = setTimeout(look, 0);
}

function show(state) {
  if (!live) return;
  state = paused ? "paused" : state;
  live.hidden = false;
  live.dataset.state = state;
  live.textContent = { live: "●", away: "○ …", paused: "❚❚" }[state];
  live.title = live.dataset[`${state}Words`];
}

// One stream, and none while the page is hidden: a browser opens six connections to a host at most.
function attend(address, kinds, ended) {
  let source = null;
  let last = null;
  const open = () => {
    const here = new URL(address, location.href);
    if (last) here.searchParams.set("after", last);
    source = new EventSource(here);
    for (const [kind, heard] of Object.entries(kinds)) {
      source.addEventListener(kind, (event) => {
        last = event.lastEventId || last;
        heard(event.data);
        if (kind === ended) { source.close(); source = null; address = null; }
      });
    }
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; }
    else if (!source && address) open();
  });
  addEventListener("pagehide", () => { source?.close(); source = null; });
  addEventListener("pageshow", (event) => { if (event.persisted && address && !source) open(); });
  if (!document.hidden) open();
}

if (document.querySelector("[data-live]") && body.dataset.events) {
  const ours = (data) => {
    const news = JSON.parse(data);
    const other = body.dataset.job && news.jobs?.length && !news.jobs.includes(body.dataset.job);
    const of_jobs = (topic) => topic === "runs" || topic === "schedules";
    if (!other || !news.topics.every(of_jobs)) hear();
  };
  attend(body.dataset.events, {
    open: () => { streaming = true; },
    error: () => { streaming = false; },
    hello: () => { streaming = true; hear(); },
    news: (data) => { streaming = true; ours(data); },
  });
  show("live");
  // How far a run is, is no news; and where no stream stands the page is asked for all the same.
  setInterval(() => {
    const rest = Date.now() - lookedAt;
    const moves = document.querySelector("[data-live] .state-running") !== null;
    if (rest > (!streaming || moves ? 4000 : 60000)) hear();
  }, 2000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) lookNow(); });
}

// -- a run's log, line by line -----------------------------------------------------------------------

const log = document.querySelector("ol.log[data-stream]");
if (log) {
  const least = Number(log.dataset.least || 0);
  const weights = { DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50 };
  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: log.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit",
    fractionalSecondDigits: 3, hourCycle: "h23",
  });
  let begun = false;
  const add = (line) => {
    if (!begun) log.replaceChildren();  // the stream gives all of it anew
    begun = true;
    if ((weights[line.level] ?? 20) < least) return;
    const item = document.createElement("li");
    item.className = `level-${line.level}`;
    const at = document.createElement("time");
    at.dateTime = line.at;
    at.textContent = clock.format(new Date(line.at));
    const texts = [line.level, line.message].map((text) => {
      const part = document.createElement("span");
      part.textContent = text;
      return part;
    });
    item.append(at, ...texts);
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(item);
    while (log.children.length > 2000) log.firstElementChild.remove();
    log.hidden = false;
    document.getElementById("silent")?.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  log.scrollTop = log.scrollHeight;
  attend(log.dataset.stream, { line: (data) => add(JSON.parse(data)), end: lookNow }, "end");
}

// -- keys --------------------------------------------------------------------------------------------

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function follow(selector) {
  const link = document.querySelector(selector);
  if (link) link.click();
  return link !== null;
}

const main = document.getElementById("main");
const keys = {
  "?": () => help && (help.showModal(), true),
  p: () => { paused = !paused; show("live"); if (!paused) lookNow(); return true; },
  n: () => follow("a[rel=next]"),
  b: () => follow("a[rel=prev]"),
  "/": () => focused(document.getElementById("find")),
  f: () => focused(main.querySelector("input[type=search]") ?? document.getElementById("find")),
};

function focused(field) {
  field?.focus();
  field?.select();
  return Boolean(field);
}

let went = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
  if (typing(event.target) || help?.open) return;
  if (went) {
    went = false;
    if (follow(`nav a[data-key="${CSS.escape(event.key)}"]`)) event.preventDefault();
  } else if (event.key === "g") {
    went = true;
  } else if (keys[event.key]?.()) {
    event.preventDefault();
  }
});
const button = document.querySelector("[data-help]");
if (button && help) { button.hidden = false; button.addEventListener("click", () => help.showModal()); }

// -- forms -------------------------------------------------------------------------------------------

// Mark what is shown this once, so that it can be copied; without the clipboard's interface, as on
// plain HTTP, too.
for (const copy of document.querySelectorAll("[data-copy]")) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const found = document.getElementById(copy.dataset.copy);
    getSelection().selectAllChildren(found);
    try { await navigator.clipboard.writeText(found.textContent); } catch { document.execCommand("copy"); }
    copy.textContent = copy.dataset.done;
  });
}

// What would come of a form, as somebody writes it: the part that the button would show.
for (const form of document.querySelectorAll("form[data-preview]")) {
  const part = document.getElementById(form.dataset.preview);
  let waits = null;
  let asked = 0;
  const foresee = async () => {
    const number = ++asked;
    const fields = new URLSearchParams(new FormData(form));
    fields.set("do", "preview");
    try {
      const answer = await fetch(form.action, { method: "POST", body: fields, headers: { accept: "text/html" } });
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      if (found && number === asked && found.innerHTML !== part.innerHTML) part.innerHTML = found.innerHTML;
    } catch { /* the button tells what is wrong */ }
  };
  form.addEventListener("input", () => { clearTimeout(waits); waits = setTimeout(foresee, 400); });
}
