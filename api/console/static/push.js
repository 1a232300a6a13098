// The button that lets this browser show messages of web push. It fills in a form, and sends it.

const form = document.getElementById("push");
const able = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

const say = (text) => {
  document.getElementById("push-state").textContent = text;
};

/** Returns bytes for base64url (RFC 4648, section 5). */
function bytesOf(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

/** Returns the id that the server gives a subscription: the SHA-256 of its endpoint. */
async function idOf(subscription) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subscription.endpoint));
  return [...new Uint8Array(digest)].map((one) => one.toString(16).padStart(2, "0")).join("");
}

async function current() {
  const registration = await navigator.serviceWorker.getRegistration("/");
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** Registers the script that shows messages, in the language of the page. */
async function register() {
  await navigator.serviceWorker.register(form.dataset.worker, { scope: "/" });
  return navigator.serviceWorker.ready;
}

/** Asks the person, subscribes at the browser's push service, and tells the server. */
async function allow() {
  if ((await Notification.requestPermission()) !== "granted") {
    say(form.dataset.denied);
    return;
  }
  const { pushManager } = await register();
  // One from before may belong to another key of the server.
  await (await pushManager.getSubscription())?.unsubscribe();
  const subscription = await pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: bytesOf(form.dataset.key),
  });
  const { endpoint, keys } = subscription.toJSON();
  Object.entries({ endpoint, ...keys }).forEach(([name, value]) => {
    if (form.elements[name]) form.elements[name].value = value;
  });
  form.submit();
}

/** Marks this browser in the list, and ends its subscription when it is removed. */
function mark(row, subscription) {
  row.querySelector(".badge").hidden = false;
  const removal = row.querySelector("form");
  removal.addEventListener("submit", async (event) => {
    event.preventDefault();
    await subscription.unsubscribe().catch(() => {});
    removal.submit();
  });
}

async function begin() {
  const subscription = await current();
  const row = subscription && document.getElementById(await idOf(subscription));
  if (row) {
    mark(row, subscription);
    say(form.dataset.on);
    await register();
    return;
  }
  say(form.dataset.off);
  const button = form.querySelector("button");
  button.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await allow();
    } catch (error) {
      say(`${form.dataset.failed} ${error.message}`);
    }
    button.disabled = false;
    delete form.dataset.sent;
  });
}

if (form && able) await begin();
