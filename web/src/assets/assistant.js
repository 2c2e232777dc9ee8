// The assistant's answer while it is written, with a button that stops it and one that asks again.

import { localTimes } from "./slipway.js";

/** Characters of a question that name its conversation. */
const TITLE = 60;

/** A refusal of the server, as a sentence. */
class Refusal extends Error {}

/** @param {Response} answer */
async function checked(answer) {
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const [wrong] = problem.errors ?? [];
  if (wrong) throw new Refusal(`The question ${wrong.message}.`);
  throw new Refusal(problem.detail ?? "The assistant cannot be reached at the moment.");
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 * @param {RequestInit} more
 */
function send(method, path, body, more = {}) {
  const headers = { "content-type": "application/json", accept: "application/json", ...more.headers };
  return fetch(path, { ...more, method, headers, body: body === undefined ? null : JSON.stringify(body) });
}

/**
 * Asks what the form has, in its conversation or at the beginning of one.
 * @param {HTMLFormElement} form
 */
export async function ask(form) {
  const field = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("content"));
  const session = /** @type {HTMLInputElement} */ (form.elements.namedItem("session"));
  const question = field.value.trim();
  if (!question || form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  const { answer, text, state, stop } = shown(form, question);
  const ends = new AbortController();
  stop.onclick = () => ends.abort();
  let isNew = false;
  let isStored = false;
  try {
    if (!session.value) {
      isNew = true;
      session.value = await begin(question);
    }
    const asked = await send("POST", `/chat/${session.value}/message`, { message: question }, {
      headers: { accept: "text/event-stream" },
      signal: ends.signal,
    });
    await checked(asked);
    isStored = true;
    field.value = "";
    await read(asked, (token) => text.append(token));
    await reload(session.value);
    return;
  } catch (error) {
    state.textContent = ends.signal.aborted
      ? "Stopped."
      : error instanceof Refusal ? error.message : "The connection was lost before the end of the answer.";
  }
  if (isNew && !isStored && session.value) {
    await send("DELETE", `/chat/${session.value}`, undefined).catch(() => undefined);
    session.value = "";
  }
  form.removeAttribute("aria-busy");
  const again = document.createElement("button");
  again.type = "button";
  again.textContent = "Ask again";
  again.onclick = () => {
    answer.previousElementSibling?.remove();
    answer.remove();
    field.value = question;
    form.requestSubmit();
  };
  stop.replaceWith(again);
  again.focus();
}

/**
 * Shows the question, and the place for its answer.
 * @param {HTMLFormElement} form
 * @param {string} question
 */
function shown(form, question) {
  const asked = message("You", question);
  const answer = message("Assistant", "");
  const text = /** @type {HTMLElement} */ (answer.querySelector(".prose"));
  const state = document.createElement("p");
  state.className = "hint";
  state.setAttribute("role", "status");
  state.textContent = "Writing…";
  const stop = document.createElement("button");
  stop.type = "button";
  stop.textContent = "Stop";
  answer.append(state, stop);
  document.getElementById("conversation")?.append(asked, answer);
  answer.scrollIntoView({ block: "nearest" });
  return { answer, text, state, stop };
}

/**
 * @param {string} who
 * @param {string} content
 */
function message(who, content) {
  const article = document.createElement("article");
  article.className = "card message";
  const facts = document.createElement("p");
  facts.className = "facts";
  const person = document.createElement("span");
  person.className = "person";
  person.textContent = who;
  facts.append(person);
  const prose = document.createElement("div");
  prose.className = "prose plain";
  prose.dir = "auto";
  prose.textContent = content;
  article.append(facts, prose);
  return article;
}

/**
 * Begins a conversation that is named after its first question; returns its id.
 * @param {string} question
 */
async function begin(question) {
  const line = question.split("\n")[0].replace(/[\p{C}\p{Z}]+/gu, " ").trim();
  const title = [...line].slice(0, TITLE).join("");
  const answer = await send("POST", "/chat/session", title ? { title } : {});
  return (await (await checked(answer)).json()).id;
}

/**
 * Reads the pieces of an answer until its end.
 * @param {Response} answer
 * @param {(token: string) => void} put
 */
async function read(answer, put) {
  if (!answer.body) throw new Error("no body");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("cut off");
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const [, kind, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (kind === "token") put(JSON.parse(data).text);
      if (kind === "error") throw new Refusal(JSON.parse(data).detail);
      if (kind === "done") return;
    }
  }
}

/**
 * Shows the conversation as the server has it.
 * @param {string} session
 */
async function reload(session) {
  const address = `/assistant?session=${session}`;
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  const main = document.querySelector("main");
  if (!answer.ok || !fresh || !main) return location.assign(address);
  localTimes(fresh);
  main.replaceChildren(...fresh.childNodes);
  history.replaceState(null, "", address);
  const articles = main.querySelectorAll("article.message");
  articles[articles.length - 1]?.scrollIntoView({ block: "nearest" });
  /** @type {HTMLElement | null} */ (main.querySelector("textarea"))?.focus({ preventScroll: true });
  const news = document.getElementById("news");
  if (news) news.textContent = "The assistant has answered.";
}
