// Shows messages of web push, also while no page is open. The server puts TEXTS, by kind, before it.

/** Reads a message: its kind, and the path of the page to open. */
function read(data) {
  try {
    return data.json();
  } catch {
    return {};
  }
}

/** Shows a message. A newer one of the same text about the same page takes its place. */
function show({ kind, link }) {
  const text = TEXTS[kind] ?? TEXTS.OTHER;
  return self.registration.showNotification(text, { tag: `${link} ${text}`, data: link });
}

/** Opens the page that a message is about, in a window that has it or in a new one. */
async function open(link) {
  const home = self.location.origin;
  const address = new URL(typeof link === "string" ? link : "/inbox", home);
  const goal = address.origin === home ? address.href : `${home}/inbox`;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find((one) => one.url === goal);
  return there ? there.focus() : self.clients.openWindow(goal);
}

self.addEventListener("push", (event) => event.waitUntil(show(read(event.data))));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data));
});
