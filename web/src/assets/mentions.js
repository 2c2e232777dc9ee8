// Completes names after an `@` in a comment.

/** Names that are offered at once. */
const SHOWN = 6;

/** The name that is being typed, at the end of a text. */
const NAME = /(?:^|[^a-zA-Z0-9/@])@([a-zA-Z0-9._-]{1,40})$/;

/** @type {WeakSet<HTMLTextAreaElement>} */
const known = new WeakSet();

/** @param {HTMLTextAreaElement} field */
export function complete(field) {
  if (known.has(field)) return;
  known.add(field);
  const id = `names-${Math.random().toString(36).slice(2)}`;
  const list = document.createElement("ul");
  list.id = id;
  list.className = "names";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Names");
  field.after(list);
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", id);
  let chosen = 0;
  let asked = 0;

  function hide() {
    list.hidden = true;
    list.replaceChildren();
    field.removeAttribute("aria-activedescendant");
  }

  function typed() {
    const before = field.value.slice(0, field.selectionStart);
    return NAME.exec(before)?.[1];
  }

  /** @param {string} name */
  function put(name) {
    const start = typed();
    const end = field.selectionStart;
    if (start !== undefined) field.setRangeText(`${name} `, end - start.length, end, "end");
    hide();
    field.focus();
  }

  function mark() {
    for (const [n, option] of [...list.children].entries()) {
      option.setAttribute("aria-selected", String(n === chosen));
    }
    field.setAttribute("aria-activedescendant", `${id}-${chosen}`);
  }

  async function offer() {
    const start = typed();
    const turn = ++asked;
    if (start === undefined) return hide();
    /** @type {{username: string}[]} */
    let users = [];
    try {
      const answer = await fetch(`/users?limit=${SHOWN}&q=${encodeURIComponent(start)}`, { headers: { accept: "application/json" } });
      if (answer.ok) users = (await answer.json()).items;
    } catch {
      // Names can be typed in full.
    }
    if (turn !== asked) return;
    if (users.length === 0) return hide();
    list.replaceChildren(...users.map(({ username }, n) => {
      const option = document.createElement("li");
      option.id = `${id}-${n}`;
      option.setAttribute("role", "option");
      option.textContent = username;
      // Before the field loses the focus.
      option.onmousedown = (event) => {
        event.preventDefault();
        put(username);
      };
      return option;
    }));
    list.hidden = false;
    chosen = 0;
    mark();
  }

  field.addEventListener("input", offer);
  field.addEventListener("blur", hide);
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const count = list.children.length;
    if (event.key === "ArrowDown") chosen = (chosen + 1) % count;
    else if (event.key === "ArrowUp") chosen = (chosen + count - 1) % count;
    else if (event.key === "Escape") hide();
    else if (event.key === "Enter" || event.key === "Tab") put(list.children[chosen].textContent ?? "");
    else return;
    if (!list.hidden) mark();
    event.preventDefault();
  });
}
