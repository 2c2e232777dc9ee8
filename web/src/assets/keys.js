// The keyboard: the palette, going to a page, moving in lists, and the help about it.

import { areKeysOn, setKeys } from "./slipway.js";

/** @typedef {{text: string, about: string, run: () => void}} Choice */

/** Where `g` and another key lead. @type {Record<string, [string, string]>} */
const PLACES = {
  h: ["/", "My work"],
  r: ["/releases", "Releases"],
  a: ["/activity", "Activity"],
  c: ["/assistant", "Assistant"],
  n: ["/notifications", "Notifications"],
  p: ["/preferences", "Preferences"],
  u: ["/profile", "Profile"],
};

/** Choices that the palette shows at once. */
const SHOWN = 12;

/** @param {string} key */
export function go(key) {
  const place = PLACES[key];
  if (place) location.assign(place[0]);
}

/**
 * Moves the focus to the next or the last thing of the lists on the page.
 * @param {1 | -1} step
 */
export function move(step) {
  const things = [...document.querySelectorAll(".list > li, .rail > li, .wall > li, article.comment")];
  const now = things.findLastIndex((thing) => thing.contains(document.activeElement));
  const next = now < 0 ? (step > 0 ? 0 : things.length - 1) : now + step;
  const target = things[next]?.querySelector("a[href], summary, button");
  if (!(target instanceof HTMLElement)) return;
  target.focus();
  target.scrollIntoView({ block: "nearest" });
}

/**
 * A dialog, which is gone when it is closed.
 * @param {string} label
 */
function open(label) {
  document.querySelector("dialog[open]")?.remove();
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", label);
  dialog.onclose = () => dialog.remove();
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  document.body.append(dialog);
  return dialog;
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} name
 * @param {Record<string, string>} attributes
 * @param {...(string | Node)} content
 */
function element(name, attributes, ...content) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...content);
  return made;
}

/** What the keys do, and a box that switches them off. */
export function help() {
  const dialog = open("Keyboard");
  const rows = [
    ["Ctrl K", "Go to a page, a release or a task; commands"],
    ...Object.entries(PLACES).map(([key, [, name]]) => [`g ${key}`, name]),
    ["j, k", "The next and the one before in a list"],
    ["?", "This help"],
    ["Esc", "Closes what is open"],
  ];
  const body = element("tbody", {});
  for (const [keys, does] of rows) {
    body.append(element("tr", {}, element("th", { scope: "row" }, element("kbd", {}, keys)), element("td", {}, does)));
  }
  const box = element("input", { type: "checkbox" });
  box.checked = areKeysOn();
  box.onchange = () => setKeys(box.checked);
  const close = element("button", { type: "button" }, "Close");
  close.onclick = () => dialog.close();
  dialog.append(
    element("h2", {}, "Keyboard"),
    element("table", {}, body),
    element("label", { class: "check" }, box, " Single keys do something (Ctrl K always does)"),
    element("p", {}, close),
  );
  dialog.showModal();
  close.focus();
}

/**
 * What the palette offers without asking the server.
 * @returns {Choice[]}
 */
function commands() {
  const links = [...document.querySelectorAll(".top nav a, nav[aria-label=Administration] a")];
  /** @type {Map<string, string>} */
  const pages = new Map(Object.values(PLACES));
  for (const link of links) pages.set(link.getAttribute("href") ?? "/", link.textContent ?? "");
  const choices = [...pages].map(([address, text]) => ({ text, about: "Page", run: () => location.assign(address) }));
  const isAdmin = document.querySelector('.top nav a[href^="/admin"]') !== null;
  const keys = areKeysOn() ? "Switch single keys off" : "Switch single keys on";
  const signOut = /** @type {HTMLFormElement | null} */ (document.querySelector('form[action="/ui/sign-out"]'));
  /** @type {[string, () => void][]} */
  const others = [
    ["Keyboard help", help],
    [keys, () => setKeys(!areKeysOn())],
    ["Sign out", () => signOut?.requestSubmit()],
  ];
  if (isAdmin) others.unshift(["Plan a release", () => location.assign("/releases?plan=1")]);
  return [...choices, ...others.map(([text, run]) => ({ text, about: "Command", run }))];
}

/**
 * Things of the server. Without an answer the palette has none of them.
 * @param {string} list
 * @param {(item: any) => Choice} choice
 * @returns {Promise<Choice[]>}
 */
async function things(list, choice) {
  try {
    const answer = await fetch(list, { headers: { accept: "application/json" } });
    return answer.ok ? (await answer.json()).items.map(choice) : [];
  } catch {
    return [];
  }
}

/** Lets the visitor find a page, a release or a task of theirs, or a command. */
export function palette() {
  const dialog = open("Go to");
  dialog.className = "palette";
  const list = element("ul", { role: "listbox", id: "palette-list", "aria-label": "Choices" });
  const field = element("input", {
    type: "text", role: "combobox", "aria-label": "Page, release, task or command", "aria-expanded": "true",
    "aria-controls": "palette-list", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
    placeholder: "Page, release, task or command",
  });
  let all = commands();
  /** @type {Choice[]} */
  let shown = [];
  let chosen = 0;

  function draw() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (/** @type {Choice} */ choice) => words.every((word) => `${choice.text} ${choice.about}`.toLowerCase().includes(word));
    shown = all.filter(has).slice(0, SHOWN);
    chosen = Math.max(0, Math.min(chosen, shown.length - 1));
    const options = shown.map((choice, n) => {
      const option = element("li", { role: "option", id: `palette-${n}`, "aria-selected": String(n === chosen) },
        element("bdi", {}, choice.text), element("small", {}, choice.about));
      option.onclick = () => pick(choice);
      return option;
    });
    list.replaceChildren(...options);
    if (options.length > 0) field.setAttribute("aria-activedescendant", `palette-${chosen}`);
    else {
      field.removeAttribute("aria-activedescendant");
      list.append(element("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, "Nothing matches."));
    }
    options[chosen]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {Choice | undefined} choice */
  function pick(choice) {
    if (!choice) return;
    dialog.close();
    choice.run();
  }

  field.oninput = () => {
    chosen = 0;
    draw();
  };
  field.onkeydown = (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (step) {
      chosen = (chosen + step + shown.length) % Math.max(1, shown.length);
      draw();
    } else if (event.key === "Enter") pick(shown[chosen]);
    else return;
    event.preventDefault();
  };
  dialog.append(field, list);
  dialog.showModal();
  draw();
  const to = (/** @type {string} */ address) => () => location.assign(address);
  const tasks = things("/tasks/my?limit=200", (task) => ({ text: task.title, about: `Task in ${task.releaseName}`, run: to(`/tasks/${task.id}`) }));
  const releases = things("/releases?limit=200", (release) => ({ text: release.name, about: "Release", run: to(`/releases/${release.id}`) }));
  Promise.all([tasks, releases]).then(([mine, others]) => {
    all = [...all, ...mine, ...others];
    draw();
  });
}
