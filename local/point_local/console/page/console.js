// Follows the stream of states and shows each; a lost connection is said and taken up again.

import { draw } from "./picture.js";
import { reports } from "./reports.js";
import { desk, wire } from "./switches.js";
import { TIERS, age, clock, condition, edge, shortName, zoneState } from "./words.js";
import { byId, element, scoped, spanning } from "./elements.js";

const AGAIN = 2000; // milliseconds between two tries
const SILENCE = 30000; // so long without a state, and the connection counts as lost

let newest = null;

// From the fragment, which no server is sent; then only this tab knows it, also after a reload.
function token() {
  const given = location.hash.slice(1);
  if (/^[\w-]{20,}$/.test(given)) {
    sessionStorage.setItem("token", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

async function follow(secret) {
  const ended = new AbortController();
  let timer = setTimeout(() => ended.abort(), SILENCE);
  try {
    const answer = await fetch("states", { headers: { Authorization: `Bearer ${secret}` }, signal: ended.signal });
    if (answer.status === 403) return false;
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let kept = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return true;
      clearTimeout(timer);
      timer = setTimeout(() => ended.abort(), SILENCE);
      const events = (kept + value.replaceAll("\r\n", "\n")).split("\n\n");
      kept = events.pop();
      for (const event of events) take(event);
    }
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

function take(event) {
  const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
  if (!data.length) return;
  newest = JSON.parse(data.join("\n"));
  show(newest);
  tell("live", `Live, as of ${clock(newest.at)}`);
}

function tell(state, words) {
  document.body.dataset.state = state;
  const line = byId("connection");
  // A screen reader hears a change of state, not every second of it.
  if (line.dataset.state !== state) line.setAttribute("aria-live", "polite");
  else line.setAttribute("aria-live", "off");
  line.dataset.state = state;
  line.textContent = words;
}

function show(state) {
  draw(byId("picture"), state);
  const problems = byId("problems");
  problems.hidden = !state.problems.length;
  problems.replaceChildren(...state.problems.map((line) => element("li", line)));
  words(state);
  reports(state);
  desk(state.desk);
}

function words(state) {
  const [head] = byId("words").tHead.children.length ? byId("words").tHead.rows : [byId("words").tHead.insertRow()];
  const heads = state.zones.map((zone) => `${zone.node} (${zone.name}): ${zoneState(zone)}`);
  head.replaceChildren(...["Part", ...heads].map((title) => scoped("col", title)));
  const wayIn = [
    element("tr", scoped("row", "Name"), spanning(3, `${state.edge.host} → ${state.edge.address ?? "no such name"}`)),
    element("tr", scoped("row", "Edge"), spanning(3, edge(state))),
  ];
  const rows = TIERS.map(([tier, name]) => {
    const pods = state.pods.filter((pod) => pod.tier === tier);
    if (!pods.length) return null;
    const cells = state.zones.map((zone) => {
      const here = pods.filter((pod) => pod.node === zone.node);
      return element("td", ...here.map((pod) => element("div", sentence(pod, state.at))));
    });
    return element("tr", scoped("row", name), ...cells);
  });
  byId("words").tBodies[0].replaceChildren(...wayIn, ...rows.filter(Boolean));
}

function sentence(pod, now) {
  const parts = [condition(pod), pod.role, `for ${age(pod.since, now)}`, pod.restarts ? `${pod.restarts} restarts` : ""];
  return `${shortName(pod)}: ${parts.filter(Boolean).join(", ")}`;
}

async function main() {
  const secret = token();
  for (;;) {
    try {
      if (!(await follow(secret))) {
        tell("lost", "Refused: open the address that `make console` printed last");
        return;
      }
    } catch {
      // Whatever it was, the next try shows whether it is over.
    }
    tell("lost", `Lost connection${newest ? ` at ${clock(newest.at)}` : ""}; trying again`);
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

new ResizeObserver(() => newest && draw(byId("picture"), newest)).observe(byId("frame"));
wire((told) => {
  if (newest) newest.desk = told;
  desk(told);
});
window.addEventListener("hashchange", () => location.reload());
main();
