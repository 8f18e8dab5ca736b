// The switches, the numbers that must stay zero, what happened, and one member's story.

import { act } from "./acts.js";
import { byId, element, scoped } from "./elements.js";
import { clock, plain, seconds } from "./words.js";

// Has the switches do something; `took` is given the desk as it is then.
export function wire(took) {
  const number = (id) => Number(byId(id).value);
  const send = (name, body = {}) => act(name, body, took);
  submitted("load", () => send("load", { rate: number("rate"), mix: byId("mix").value }));
  clicked("stop", () => send("load-stop"));
  for (const button of document.querySelectorAll("[data-zone]")) {
    button.addEventListener("click", () => send("blow", { blow: `zone ${button.dataset.zone}, ${byId("mode").value}` }));
  }
  submitted("smaller", () => send("blow", { blow: byId("blow").value }));
  clicked("mend", () => send("mend"));
  submitted("patch", () => send("patch", patch(false)));
  clicked("ask", () => byId("patch").reportValidity() && send("patch", patch(true)));
  for (const button of document.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      if (byId("member").reportValidity()) send("member", { do: button.dataset.step, amount: number("amount") });
    });
  }
  submitted("member", () => send("member", { do: "try", attack: byId("attack").value }));
}

export function desk(told) {
  const { switches } = told;
  options("mix", switches.mixes);
  options("blow", switches.blows.filter((name) => !/^zone ., (stop|cut)$/.test(name)));
  options("attack", told.member.attacks);
  const busy = switches.blow !== null;
  byId("start").disabled = switches.running;
  byId("stop").disabled = !switches.running || switches.stopping || busy;
  byId("strike").disabled = busy || switches.stopping;
  for (const button of document.querySelectorAll("[data-zone]")) button.disabled = busy || switches.stopping;
  byId("mend").disabled = !switches.mendable;
  byId("mend").textContent = busy && !switches.blow.startsWith("zone ") ? "Mend it" : "Light again";
  said(byId("stage"), stage(switches));
  zeros(switches);
  results(switches);
  timeline(told.timeline);
  member(told.member);
  byId("command").textContent = told.command;
}

function stage(switches) {
  const { load } = switches;
  if (switches.blow) return `${switches.blow}: ${switches.stage}`;
  if (switches.stopping) return "The load ends";
  return switches.running ? `A load of ${load.rate} requests a second, ${load.mix}` : "No load, no blow";
}

function zeros(switches) {
  const { books } = switches;
  const found = books.at === null ? "–" : (books.counted - books.lost).toLocaleString("en");
  const must = (value) => (value ? "wrong" : "good");
  const lines = [
    ["acknowledged to the load", books.acknowledged.toLocaleString("en"), ""],
    [books.at === null ? "found in the database" : `of ${books.counted.toLocaleString("en")} found at ${clock(books.at)}`, found, ""],
    ["lost", `${books.lost}`, must(books.lost)],
    ["twice", `${books.twice}`, must(books.twice)],
    ["failed tries", plain(switches.failed), ""],
    ["99 of 100 within", seconds(switches.p99), ""],
  ];
  byId("zeros").replaceChildren(
    ...lines.map(([title, value, kind]) => {
      const shown = element("dd", value);
      shown.className = kind;
      return element("div", element("dt", title), shown);
    }),
  );
}

function results(switches) {
  byId("judged").hidden = !switches.results.length;
  byId("results").tHead.replaceChildren(element("tr", ...switches.columns.map((title) => scoped("col", title))));
  const rows = switches.results.map(([blow, ...rest]) => element("tr", scoped("row", blow), ...rest.map((cell) => element("td", cell))));
  byId("results").tBodies[0].replaceChildren(...rows);
}

function timeline(lines) {
  const list = byId("timeline");
  const last = Number(list.lastElementChild?.dataset.number ?? 0);
  if (lines.length && lines.at(-1).number < last) list.replaceChildren(); // another server's
  const from = Number(list.lastElementChild?.dataset.number ?? 0);
  const log = byId("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  for (const line of lines.filter((one) => one.number > from)) {
    const time = element("time", clock(line.at));
    const made = element("li", time, ` ${line.text}`);
    made.dataset.number = line.number;
    if (line.bad) made.className = "wrong";
    list.append(made);
  }
  while (lines.length && Number(list.firstElementChild.dataset.number) < lines[0].number) list.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function member(told) {
  byId("who").textContent = told.member ? `Member ${told.member}` : "Nobody yet: mint a token";
  for (const button of document.querySelectorAll("[data-step]")) {
    button.disabled = button.dataset.step !== "mint" && (!told.member || (button.dataset.step === "cancel" && !told.order));
  }
  byId("try").disabled = !told.member;
  const list = byId("exchanges");
  const newest = `${told.exchanges[0]?.at}`;
  if (list.dataset.newest === newest) return;
  list.dataset.newest = newest;
  list.replaceChildren(
    ...told.exchanges.map((one) => {
      const as = one.well ? "as it must be" : "NOT as it must be";
      const title = element("h3", `${clock(one.at)} ${one.title}${one.status === null ? "" : `: ${one.status}, ${as}`}`);
      title.className = one.well ? "good" : "wrong";
      return element("article", title, element("pre", one.request), element("pre", one.answer));
    }),
  );
}

function patch(dry) {
  const text = byId("value").value;
  let value = text;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: a string as it is.
  }
  return { field: byId("field").value, value, dry };
}

function options(id, names) {
  const list = byId(id);
  if (list.children.length === names.length) return;
  list.replaceChildren(...names.map((name) => new Option(name)));
}

// Only when it changed: a screen reader says it each time.
function said(place, words) {
  if (place.textContent !== words) place.textContent = words;
}

function submitted(id, then) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    then();
  });
}

function clicked(id, then) {
  byId(id).addEventListener("click", then);
}
