// What the console does in the browser beyond links and forms: live updates, keys, and a few
// comforts. Every page works without it.

const page = document.documentElement;
const reads = (selector, within = document) => within.querySelector(selector);

// ---------------------------------------------------------------- for every page

/** Tells the server the reader's time zone, for the next page. */
function rememberZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) {
    document.cookie = `placet_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
  }
}

/** Sends a form once: a second click while the first is on its way does nothing. */
function sendOnce(event) {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
}

/** A page that the browser kept can be sent again. */
function forgetSent() {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
}

/** Moves the places so that this one is in sight. Nothing else of the page moves. */
function showPlace() {
  const places = reads(".places");
  const here = places && reads("[aria-current]", places);
  if (!here) return;
  const box = places.getBoundingClientRect();
  const own = here.getBoundingClientRect();
  places.scrollLeft += own.left + own.width / 2 - (box.left + box.width / 2);
}

// ---------------------------------------------------------------- live updates

const MOST_ROWS = 200;
const RECOUNT_MILLISECONDS = 10_000;
let source = null;

/** Follows the stream that the page names, while somebody looks at the page. */
function follow() {
  source?.close();
  source = null;
  const live = reads("[data-stream]");
  if (!live || document.hidden) return;
  const at = live.dataset.position;
  const address = new URL(live.dataset.stream, location.href);
  if (at) address.searchParams.set("after", at);
  source = new EventSource(address);
  const told = (event) => {
    live.dataset.position = event.lastEventId || live.dataset.position || "";
  };
  source.addEventListener("open", () => showLive("on"));
  source.addEventListener("error", () => {
    showLive("off");
    // The browser has given up: the page is read again once somebody looks at it again.
    if (source?.readyState === EventSource.CLOSED) delete live.dataset.position;
  });
  source.addEventListener("ended", () => {
    source.close();
    showLive("ended");
  });
  source.addEventListener("event", (event) => {
    told(event);
    newEvent(JSON.parse(event.data));
  });
  for (const type of ["approval", "execution"]) {
    source.addEventListener(type, (event) => {
      told(event);
      changeRow(JSON.parse(event.data));
    });
  }
  source.addEventListener("changed", (event) => {
    told(event);
    refreshParts();
  });
}

function showLive(state) {
  const live = reads("#live");
  if (!live) return;
  live.classList.toggle("on", state === "on");
  live.textContent = live.dataset[state];
  if (state === "ended") {
    const link = document.createElement("a");
    link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = live.dataset.again;
    live.append(" ", link);
  }
}

const rowOf = (id) => reads(`#rows > [data-id="${CSS.escape(id)}"]`);

/** Shows what happened to an approval, without moving what is under the pointer. */
function changeRow({ id, order, gone, html }) {
  const list = reads("#rows");
  if (!list) return;
  const old = rowOf(id);
  if (gone && !old) {
    held.delete(id);
    showHeld();
    return;
  }
  const parsed = document.createElement("template");
  parsed.innerHTML = html;
  const row = parsed.content.firstElementChild;
  if (old) {
    const marked = reads("input:checked", old);
    const focused = old.contains(document.activeElement);
    old.replaceWith(row);
    if (marked && !gone) reads("input", row).checked = true;
    if (focused) reads("a", row).focus({ preventScroll: true });
    if (gone) leaveLater(row);
  } else {
    const after = [...list.children].find((one) => one.dataset.order > order);
    // What comes after the last row of a list that goes on is on another page.
    if (!after && reads("#count").dataset.whole !== "yes") return recountSoon();
    if (!held.has(id)) tell(row);
    if (after && inSight(after)) {
      held.set(id, row);
      showHeld();
      return;
    }
    insert(list, row, after);
  }
  count();
  showMarked();
}

/** Rows that came and would move what somebody sees. They wait until that person shows them. */
const held = new Map();

/** Whether a part of a row is in the window. */
function inSight(row) {
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}

function insert(list, row, after) {
  list.insertBefore(row, after ?? null);
  row.classList.add("fresh");
  keepPlace(row, after);
  dropLast(list);
}

/** Says how many rows are held back. */
function showHeld() {
  const button = reads("#held");
  if (!button) return;
  button.hidden = held.size === 0;
  button.textContent = (held.size === 1 ? button.dataset.one : button.dataset.many).replace("{number}", held.size);
}

function insertHeld() {
  const list = reads("#rows");
  const rows = [...held.values()].sort((one, other) => (one.dataset.order > other.dataset.order ? -1 : 1));
  held.clear();
  for (const row of rows) {
    insert(list, row, [...list.children].find((one) => one.dataset.order > row.dataset.order));
  }
  showHeld();
  count();
  reads(".row-title", rows.at(-1))?.focus();
}

/** Scrolls by what a new row above the middle of the window takes. */
function keepPlace(row, after) {
  if (after && row.getBoundingClientRect().top < window.innerHeight / 2 && window.scrollY > 0) {
    window.scrollBy({ top: row.offsetHeight, behavior: "instant" });
  }
}

/** Takes a decided row away after it was seen, and not while the pointer is on the list. */
function leaveLater(row) {
  setTimeout(() => {
    const list = reads("#rows");
    if (!row.isConnected) return;
    if (list.matches(":hover") || list.contains(document.activeElement)) {
      leaveLater(row);
      return;
    }
    row.remove();
    count();
  }, 4000);
}

/** Says a new approval to a screen reader. */
function tell(row) {
  const told = reads("#told");
  if (!told) return;
  told.textContent = `${told.dataset.new} ${reads(".row-title", row).textContent}`;
}

let recounting = null;

/** Asks for the number again, now and then, where the list goes on after the rows that are shown. */
function recountSoon() {
  // Not all open lists at once.
  recounting ??= setTimeout(async () => {
    recounting = null;
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("count");
    const shown = reads("#count");
    if (fresh && shown && shown.dataset.whole !== "yes") shown.textContent = fresh.textContent;
  }, RECOUNT_MILLISECONDS * (0.5 + Math.random()));
}

/** Takes the last row away from a list that has grown long. */
function dropLast(list) {
  if (list.children.length <= MOST_ROWS) return;
  list.lastElementChild.remove();
  reads("#count").dataset.whole = "no";
}

/** Counts the rows that are shown, where all of them are. */
function count() {
  const shown = reads("#count");
  const rows = document.querySelectorAll("#rows > .row");
  const here = [...rows].filter((row) => !row.classList.contains("gone")).length;
  if (shown.dataset.whole === "yes") {
    shown.textContent = (here === 1 ? shown.dataset.one : shown.dataset.many).replace("{number}", here);
  } else {
    recountSoon();
  }
  reads("#empty").hidden = rows.length > 0;
}

const MOST_EVENTS = 200;
let heldEvents = [];

/** Puts a new event first, unless somebody reads the list: then it waits behind a button. */
function newEvent({ html }) {
  heldEvents.push(html);
  if (heldEvents.length > MOST_EVENTS) heldEvents.shift();
  const list = reads("#events");
  const reading = list.matches(":hover") || list.contains(document.activeElement) || window.scrollY > 200;
  if (!reading) showHeldEvents();
  const button = reads("#held-events");
  button.hidden = heldEvents.length === 0;
  const words = reads("#told").dataset;
  button.textContent = (heldEvents.length === 1 ? words.one : words.many).replace("{number}", heldEvents.length);
}

function showHeldEvents() {
  const list = reads("#events");
  const empty = reads("#empty");
  if (empty) empty.hidden = true;
  for (const html of heldEvents) {
    const parsed = document.createElement("template");
    parsed.innerHTML = html;
    const row = parsed.content.firstElementChild;
    row.classList.add("fresh");
    list.prepend(row);
  }
  const words = reads("#told");
  words.textContent = (heldEvents.length === 1 ? words.dataset.one : words.dataset.many).replace("{number}", heldEvents.length);
  while (list.children.length > MOST_EVENTS) list.lastElementChild.remove();
  heldEvents = [];
  reads("#held-events").hidden = true;
}

let refreshing = false;
let changedMeanwhile = false;

/** Reads the page again and takes over its parts that change. What is typed stays. */
async function refreshParts() {
  changedMeanwhile = refreshing;
  if (refreshing) return;
  refreshing = true;
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = fresh.getElementById(part.id);
      if (!other) continue;
      keepOpen(part, other);
      if (other.innerHTML === part.innerHTML || isTypedInto(part)) continue;
      part.replaceWith(document.adoptNode(other));
    }
    const form = reads("#decision-form");
    if (form && !fresh.querySelector("#decision-form")) {
      // Decided by somebody else meanwhile: the buttons go, what was typed stays.
      reads(".decide-bar", form).remove();
      reads("textarea", form).readOnly = true;
    }
  } finally {
    refreshing = false;
    if (changedMeanwhile) refreshParts();
  }
}

/** Opens in the new part what somebody has opened in the old one. */
function keepOpen(part, other) {
  const before = part.querySelectorAll("details");
  for (const [at, details] of other.querySelectorAll("details").entries()) {
    if (before[at]?.open) details.open = true;
  }
}

/** Whether a part has a field that somebody types into, which must not go. */
function isTypedInto(part) {
  const fields = [...part.querySelectorAll("textarea, input:not([type=hidden])")];
  return fields.some((one) => one === document.activeElement || one.value !== one.defaultValue);
}

// ---------------------------------------------------------------- marks and keys

const marks = () => [...document.querySelectorAll('#rows input[name="id"]:checked')];

function showMarked() {
  const bar = reads("#bulk-bar");
  if (!bar) return;
  const number = marks().length;
  const shown = reads("#marked");
  bar.hidden = number === 0;
  shown.textContent = (number === 1 ? shown.dataset.one : shown.dataset.many).replace("{number}", number);
}

function currentRow() {
  return document.activeElement?.closest?.(".row") ?? null;
}

function moveBy(step) {
  const titles = [...document.querySelectorAll(".row .row-title")];
  if (titles.length === 0) return;
  const row = currentRow();
  const at = row ? titles.indexOf(reads(".row-title", row)) : step > 0 ? -1 : titles.length;
  titles[Math.min(Math.max(at + step, 0), titles.length - 1)].focus();
}

function decideMarked(verdict) {
  const bulk = reads("#bulk");
  if (!bulk) return;
  if (marks().length === 0) {
    const box = currentRow() && reads('input[name="id"]', currentRow());
    if (!box) return;
    box.checked = true;
  }
  bulk.requestSubmit(reads(`#bulk-bar button[value="${verdict}"]`));
}

const onInbox = {
  j: () => moveBy(1),
  k: () => moveBy(-1),
  x: () => {
    const box = currentRow() && reads('input[name="id"]', currentRow());
    if (box) box.checked = !box.checked;
    showMarked();
  },
  a: () => decideMarked("grant"),
  r: () => decideMarked("reject"),
  u: () => {
    for (const box of marks()) box.checked = false;
    showMarked();
  },
  "/": () => reads("#q")?.focus(),
};

const elsewhere = {
  a: () => reads("#approve")?.focus(),
  r: () => reads("#reject") && reads("#comment").focus(),
  u: () => reads("[data-up]")?.click(),
};

function pressed(event) {
  const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog");
  if (event.key === "Escape" && typing && !event.target.closest("dialog")) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = reads("#rows") ? onInbox : elsewhere;
  const action = event.key === "?" ? () => reads("#keys")?.showModal() : keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

// ---------------------------------------------------------------- the past

const STEP_MILLISECONDS = 1200;

/** Goes on by a version after the other, as long as the address says so. */
function play() {
  const button = reads("#play");
  if (!button) return;
  const playing = location.hash === "#play";
  if (playing) {
    button.textContent = button.dataset.stop;
    const step = reads("#step");
    setTimeout(() => {
      if (location.hash === "#play" && step.isConnected) location.href = `${step.href}#play`;
    }, STEP_MILLISECONDS);
  }
  button.addEventListener("click", () => {
    history.replaceState(null, "", location.hash === "#play" ? location.pathname + location.search : "#play");
    if (location.hash === "#play") location.href = `${reads("#step").href}#play`;
    else location.reload();
  });
}

page.dataset.live = "true";
showPlace();
rememberZone();
showMarked();
follow();
play();
document.addEventListener("submit", sendOnce);
document.addEventListener("keydown", pressed);
document.addEventListener("change", showMarked);
document.addEventListener("click", (event) => {
  if (event.target.closest("#held")) insertHeld();
  if (event.target.closest("#held-events")) {
    showHeldEvents();
    window.scrollTo({ top: 0 });
  }
  const opens = event.target.closest("[data-opens]")?.dataset.opens;
  if (opens) document.getElementById(opens)?.showModal();
});
// An inbox that was searched is another list.
document.addEventListener("htmx:afterSettle", () => {
  held.clear();
  showMarked();
  follow();
  play();
});
document.addEventListener("visibilitychange", follow);
window.addEventListener("pageshow", forgetSent);
window.addEventListener("resize", showPlace);
window.addEventListener("pagehide", () => source?.close());
