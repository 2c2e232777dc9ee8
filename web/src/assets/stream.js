// Reads the stream of activity, once for all tabs of the browser, as a shared worker. It resumes
// after the last number that it has seen, and tells the tabs what happened.

/** Without a line for this long, heartbeats included, the connection is dead. */
const SILENCE = 40_000;

/** The longest delay before another try. */
const LONGEST = 60_000;

/** @type {Set<MessagePort>} */
const ports = new Set();

/** @type {string} */
let last = "";
let retry = 2_000;
let running = false;
let isOpen = false;

/** @param {{kind: string, data?: unknown}} news */
function tell(news) {
  for (const port of ports) port.postMessage(news);
}

/** @param {string} block One event: its lines. */
function read(block) {
  let event = "message";
  let data = "";
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    switch (line.slice(0, colon)) {
      case "id": last = value; break;
      case "event": event = value; break;
      case "data": data += value; break;
      case "retry": retry = Number(value) || retry; break;
    }
  }
  if (event === "gap") tell({ kind: "gap" });
  else if (event !== "goodbye" && data) tell({ kind: "entry", data: JSON.parse(data) });
}

/** Reads until the connection ends. Returns how long to wait, or undefined if signed out. */
async function connection() {
  const silence = new AbortController();
  const listen = () => setTimeout(() => silence.abort(), SILENCE);
  let timer = listen();
  try {
    const query = last ? `?after=${last}` : "";
    const headers = { accept: "text/event-stream" };
    const answer = await fetch(`/activity/stream${query}`, { headers, signal: silence.signal });
    if (answer.status === 401) return undefined;
    if (!answer.ok || !answer.body) {
      return Math.max(retry, 1_000 * (Number(answer.headers.get("retry-after")) || 5));
    }
    isOpen = true;
    tell({ kind: "open" });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      clearTimeout(timer);
      if (done) return retry;
      timer = listen();
      const blocks = (text + value).split("\n\n");
      text = blocks.pop() ?? "";
      blocks.forEach(read);
    }
  } catch {
    return retry;
  } finally {
    isOpen = false;
    clearTimeout(timer);
  }
}

async function run() {
  if (running) return;
  running = true;
  let failures = 0;
  while (ports.size > 0) {
    const started = Date.now();
    const wait = await connection();
    if (wait === undefined) break;
    failures = Date.now() - started > LONGEST ? 0 : failures + 1;
    const delay = Math.min(LONGEST, wait * 2 ** Math.min(failures - 1, 5));
    await new Promise((done) => setTimeout(done, delay * (0.5 + Math.random())));
  }
  running = false;
}

/** @param {MessagePort} port */
function join(port) {
  ports.add(port);
  if (isOpen) port.postMessage({ kind: "open" });
  port.onmessage = (message) => {
    if (message.data === "bye") ports.delete(port);
  };
  run();
}

self.addEventListener("connect", (event) => {
  join(/** @type {MessageEvent} */ (event).ports[0]);
});
