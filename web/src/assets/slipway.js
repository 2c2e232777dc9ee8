// What the pages do with scripts, beyond what they do without: local times, and parts that follow
// what happens. An entry of the stream does not change the page: it says that parts of it may be
// out of date, and they are fetched again.

/** Entries that arrive together cause one fetch. */
const TOGETHER = 40;

/** @param {ParentNode} within */
function localTimes(within) {
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

// A page that a refused form shows has the form's address, which has no page of its own.
const back = /** @type {HTMLInputElement | null} */ (document.querySelector("input[name=back]"));
if (location.pathname.startsWith("/ui/") && back) history.replaceState(null, "", back.value);
localTimes(document);
countUnread().catch(() => {});
follow();
