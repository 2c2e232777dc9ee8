// What the pages do with scripts, beyond what they do without: local times, and parts that follow
// what happens. An entry of the stream does not change the page: it says that parts of it may be
// out of date, and they are fetched again. What few visits need is in modules that are fetched when
// they are used: keys, mentions, the streamed answer.

/** Pixels below which a reader is at the top of a page. */
const TOP = 200;

/** Entries that arrive together cause one fetch. */
const TOGETHER = 40;

/** @param {ParentNode} within */
export function localTimes(within) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  for (const time of within.querySelectorAll("time")) {
    time.title = format.format(new Date(time.dateTime));
  }
}

/**
 * Whether somebody is about to use this part: it has the focus in a field, or an open form.
 * @param {Element} part
 */
function isInUse(part) {
  const field = part.querySelector("textarea:focus, input:focus, select:focus");
  return field !== null || part.querySelector("details.inline[open] form") !== null;
}

/**
 * The thing that has the focus, so that it can get it back.
 * @param {Element} part
 */
function focused(part) {
  const now = document.activeElement;
  if (!now || !part.contains(now)) return "";
  const form = now.closest("form");
  if (form) return `form[action="${CSS.escape(form.getAttribute("action") ?? "")}"] button`;
  const address = now.getAttribute("href");
  return address ? `a[href="${CSS.escape(address)}"]` : "";
}

/** What the wall of activity becomes when its reader comes back to the top. @type {Element | null} */
let waiting = null;

/**
 * Says how many entries are new, above a wall that is being read further down.
 * @param {Element} wall
 * @param {Element} fresh
 */
function announce(wall, fresh) {
  const known = new Set([...wall.querySelectorAll("li[id]")].map((entry) => entry.id));
  const count = [...fresh.querySelectorAll("li[id]")].filter((entry) => !known.has(entry.id)).length;
  waiting = fresh;
  if (count === 0) return;
  let pill = document.getElementById("new");
  if (!pill) {
    pill = document.createElement("button");
    pill.id = "new";
    pill.className = "pill main";
    pill.onclick = () => {
      scrollTo({ top: 0 });
      showWaiting();
      wall.querySelector("a")?.focus({ preventScroll: true });
    };
    wall.before(pill);
  }
  pill.textContent = `${count} new`;
}

function showWaiting() {
  const wall = document.getElementById("wall");
  document.getElementById("new")?.remove();
  if (wall && waiting) put(wall, waiting);
  waiting = null;
}

let fetching = false;
let again = false;

async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  do {
    again = false;
    try {
      const answer = await fetch(location.href.split("#")[0], { headers: { accept: "text/html" } });
      if (!answer.ok || answer.redirected) break;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelectorAll("[data-live]").forEach((part) => swap(part, fresh));
    } catch {
      break;
    }
  } while (again);
  fetching = false;
}

/**
 * @param {Element} part
 * @param {Document} fresh
 */
function swap(part, fresh) {
  const other = fresh.getElementById(part.id);
  if (!other || isInUse(part)) return;
  if (part.id === "wall" && scrollY > TOP) announce(part, other);
  else put(part, other);
}

/**
 * Puts the content of `other` into `part`. What is closed, and what has the focus, stays so.
 * @param {Element} part
 * @param {Element} other
 */
function put(part, other) {
  localTimes(other);
  for (const closed of part.querySelectorAll("article[id] > details:not([open])")) {
    const id = CSS.escape(closed.parentElement?.id ?? "");
    other.querySelector(`#${id} > details`)?.removeAttribute("open");
  }
  if (other.innerHTML === part.innerHTML) return;
  const focus = focused(part);
  part.replaceChildren(...other.childNodes);
  if (focus) /** @type {HTMLElement | null} */ (part.querySelector(focus))?.focus();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;

/**
 * Also after the stream is opened: something may have happened since the page was rendered.
 * @param {{kind: string, data?: {summary?: string}}} news
 */
function hear(news) {
  const live = document.getElementById("news");
  if (live && news.data?.summary) live.textContent = news.data.summary;
  document.documentElement.dataset.stream = "open";
  soon ??= setTimeout(() => {
    soon = undefined;
    countUnread().catch(() => {});
    refresh();
  }, TOGETHER);
}

/** Shows in the navigation how much is unread. */
async function countUnread() {
  const places = document.querySelectorAll("[data-unread]");
  if (!places.length) return;
  const answer = await fetch("/read-position", { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  const position = await answer.json();
  for (const place of places) {
    const { count, more } = position[place.getAttribute("data-unread") ?? ""].unread;
    place.textContent = count ? `${count}${more ? "+" : ""}` : "";
    if (count) place.insertAdjacentHTML("beforeend", '<span class="sr"> unread</span>');
  }
}

function follow() {
  const script = /** @type {HTMLElement | null} */ (document.querySelector("script[data-stream]"));
  const address = script?.dataset.stream;
  if (!address || !document.querySelector("[data-live]") || !("SharedWorker" in window)) return;
  const { port } = new SharedWorker(address, { type: "module", name: "slipway" });
  port.onmessage = (message) => hear(message.data);
  addEventListener("pagehide", () => port.postMessage("bye"));
  // A page that comes back from the browser's memory is out of date.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}

/**
 * Shows the times of fields in the zone of the browser; the server has them in UTC.
 */
function localFields() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[data-utc]"))) {
    const label = field.parentElement?.querySelector("[data-zone]");
    if (label) label.textContent = zone;
    if (!field.value) continue;
    const time = new Date(`${field.value}Z`);
    const local = new Date(time.getTime() - 60_000 * time.getTimezoneOffset());
    field.value = local.toISOString().slice(0, field.value.length);
  }
  addEventListener("formdata", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("input[data-utc]"))) {
      if (field.value) event.formData.set(field.name, new Date(field.value).toISOString());
    }
  });
}

/** Keys that mean something by themselves, apart from fields. */
const KEYS = ["g", "j", "k", "?"];

/** Whether `g` was pressed: the next key says where to go. */
let going = false;

/** @param {KeyboardEvent} event */
async function press(event) {
  const { key } = event;
  const isPalette = key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey;
  const field = /** @type {Element} */ (event.target).closest?.("input, textarea, select, dialog");
  const isSingle = key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey && !field && areKeysOn();
  if (!isPalette && !(isSingle && (going || KEYS.includes(key)))) return;
  event.preventDefault();
  const place = going && isSingle ? key : "";
  going = isSingle && !going && key === "g";
  const keys = await import("./keys.js");
  if (isPalette) keys.palette();
  else if (place) keys.go(place);
  else if (key === "?") keys.help();
  else if (key !== "g") keys.move(key === "j" ? 1 : -1);
}

/** Whether keys without Ctrl do anything: some programs that read screens or hear speech press them. */
export function areKeysOn() {
  try {
    return localStorage.getItem("slipway-keys") !== "off";
  } catch {
    return true;
  }
}

/** @param {boolean} on */
export function setKeys(on) {
  try {
    localStorage.setItem("slipway-keys", on ? "on" : "off");
  } catch {
    // Without storage they stay on.
  }
}

/** Fetches the modules that a page turns out to need. */
function onDemand() {
  addEventListener("keydown", press);
  addEventListener("focusin", async (event) => {
    const field = /** @type {Element} */ (event.target);
    const form = field.closest('form[action$="/comments"], form[action^="/ui/comments/"]');
    if (form && field instanceof HTMLTextAreaElement) (await import("./mentions.js")).complete(field);
  });
  addEventListener("submit", async (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.getAttribute("action") !== "/ui/assistant") return;
    event.preventDefault();
    (await import("./assistant.js")).ask(form);
  });
  addEventListener("scroll", () => {
    if (waiting && scrollY <= TOP) showWaiting();
  }, { passive: true });
}

// A page that a refused form shows has the form's address, which has no page of its own.
const back = /** @type {HTMLInputElement | null} */ (document.querySelector("input[name=back]"));
if (location.pathname.startsWith("/ui/") && back) history.replaceState(null, "", back.value);
localTimes(document);
countUnread().catch(() => {});
localFields();
onDemand();
follow();
