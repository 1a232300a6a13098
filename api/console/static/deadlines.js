// Keeps the deadlines of a page current: how long is left, and whether that is near. Without it they
// are as of when the page was made.

const SOON = 4 * 3600;
const TONES = { overdue: "no", soon: "wait", later: "" };
// The units and the threshold are those of Babel, which writes the page.
const UNITS = [
  ["year", 365 * 86400], ["month", 30 * 86400], ["week", 7 * 86400], ["day", 86400],
  ["hour", 3600], ["minute", 60], ["second", 1],
];
const THRESHOLD = 0.85;
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });

function inWords(seconds) {
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) / each >= THRESHOLD) ?? UNITS.at(-1);
  return relative.format(Math.sign(seconds) * Math.max(1, Math.round(Math.abs(seconds) / size)), unit);
}

function show(badge) {
  const time = badge.querySelector("time");
  const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
  const due = seconds <= 0 ? "overdue" : seconds < SOON ? "soon" : "later";
  const shown = inWords(seconds || -1);
  if (time.firstChild.data !== shown) time.firstChild.data = shown;
  if (badge.dataset.due === due) return;
  badge.classList.remove("no", "wait");
  if (TONES[due]) badge.classList.add(TONES[due]);
  badge.querySelector(".due-word").textContent = badge.dataset[due];
  badge.dataset.due = due;
}

setInterval(() => document.querySelectorAll("[data-due]").forEach(show), 1000);
