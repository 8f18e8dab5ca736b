// What is under the picture: figures, the books, the PointService.

import { byId, element, scoped } from "./elements.js";
import { BOOKS, FIGURES, age, asWanted, booked, clock } from "./words.js";

export function reports(state) {
  list("figures", FIGURES.map(([name, title, write]) => [title, write(state.figures[name])]));
  list("books", BOOKS.map(([kind, title]) => [title, booked(state.books[kind])]));
  byId("opened").textContent = `since ${clock(state.opened)}`;
  const told = state.service;
  if (!told) {
    byId("service").textContent = "Nothing is known of it.";
    return;
  }
  const seen = told.observed === told.generation ? "" : ", its last change not taken up yet";
  byId("service").textContent = `${told.name}: ${told.ready} of ${told.replicas} pods ready, ${told.image}${seen}`;
  const conditions = told.conditions.map((one) => {
    const status = element("td", `${asWanted(one) ? "●" : "○"} ${one.status}`);
    if (!asWanted(one)) status.className = "wrong";
    const rest = [one.reason, one.message, age(one.since, state.at)].map((word) => element("td", word));
    return element("tr", scoped("row", one.type), status, ...rest);
  });
  table("conditions", ["Condition", "Status", "Reason", "Message", "For"], conditions);
  const events = told.events.map((one) => {
    const words = [one.type, one.reason, one.message, `${one.times}`];
    return element("tr", scoped("row", clock(one.at)), ...words.map((word) => element("td", word)));
  });
  table("events", ["At", "Type", "Reason", "Message", "Times"], events);
}

function list(id, lines) {
  byId(id).replaceChildren(
    ...lines.map(([title, value]) => element("div", element("dt", title), element("dd", value))),
  );
}

function table(id, heads, rows) {
  byId(id).tHead.replaceChildren(element("tr", ...heads.map((title) => scoped("col", title))));
  byId(id).tBodies[0].replaceChildren(...rows);
}
