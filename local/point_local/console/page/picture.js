// The picture: the way in, then a row for each tier, with the three zones as columns.

import { TIERS, age, condition, edge, figure, shortName, zoneState } from "./words.js";

const NS = "http://www.w3.org/2000/svg";
const GAP = 8;
const LINE = 17;
const BOX = 58; // with two lines under its title
const LETTER = 7.2; // pixels that a letter of 13 px takes, on the wide side

// What a request passes, tier by tier; the last says that it is dashed: reads.
const WAYS = [
  ["gateway", "service", () => true, ""],
  ["service", "cache", (pod) => pod.role === "primary", ""],
  ["service", "database", (pod) => pod.role.startsWith("writer"), ""],
  ["service", "database", (pod) => pod.role === "reader", "read"],
];

export function draw(svg, state) {
  const width = Math.max(320, svg.parentElement.clientWidth);
  const column = width / 3;
  const under = []; // zones and ways, behind
  const over = [];
  const places = new Map(); // a pod's name: its box
  let y = wayIn(state, width, under, over);
  const top = y - GAP;
  state.zones.forEach((zone, index) => {
    const what = zoneState(zone);
    const x = index * column + GAP;
    over.push(text(x + GAP, y + 14, `${zone.node} ${what}`, what === "up" ? "strong" : "wrong"));
    over.push(text(x + GAP, y + 14 + LINE, clipped(zone.name, column - 3 * GAP), "dim"));
  });
  y += 2 * LINE + GAP + 6;
  for (const [tier, name] of TIERS) {
    const pods = state.pods.filter((pod) => pod.tier === tier);
    if (pods.length) y = row(state, tier, name, pods, { y, width, column, over, places });
  }
  state.zones.forEach((zone, index) => {
    const dark = zoneState(zone) === "up" ? "" : " dark";
    const box = { x: index * column + GAP / 2, y: top, width: column - GAP, height: y - top, rx: 8 };
    under.unshift(shape("rect", { ...box, class: `zone${dark}` }));
  });
  for (const pod of state.pods.filter((one) => one.tier === "gateway" && one.ready)) {
    under.push(way(places.get("edge"), places.get(pod.name), ""));
  }
  for (const [from, to, chosen, kind] of WAYS) {
    const starts = state.pods.filter((pod) => pod.tier === from && pod.ready);
    const ends = state.pods.filter((pod) => pod.tier === to && pod.ready && chosen(pod));
    for (const start of starts) {
      for (const end of ends) under.push(way(places.get(start.name), places.get(end.name), kind));
    }
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${y + GAP}`);
  svg.setAttribute("height", y + GAP);
  svg.replaceChildren(...under.filter(Boolean), ...over);

  function wayIn(seen, wide, behind, front) {
    const { host, address } = seen.edge;
    const well = seen.edge.answers === 200;
    const parts = [
      ["Client", [`${figure(seen.figures, "requests")}`, "requests"], true],
      ["Name", [host, address ?? "no such name"], address !== null],
      ["Edge", [edge(seen), "TLS ends here"], well],
    ];
    parts.forEach(([title, said, good], index) => {
      const box = { x: index * column + GAP, y: GAP, width: column - 2 * GAP, height: BOX };
      front.push(...boxed(box, title, said.map((line) => [line, good ? "dim" : "wrong"]), good));
      if (index) behind.push(shape("line", { x1: box.x - 2 * GAP, x2: box.x, y1: GAP + BOX / 2, y2: GAP + BOX / 2, class: "way" }));
      places.set(["client", "name", "edge"][index], box);
    });
    const lines = wrapped(
      [
        `${figure(seen.figures, "errors")} server errors`,
        `99 of 100 within ${figure(seen.figures, "p99")}`,
      ],
      wide,
    );
    lines.forEach((line, index) => front.push(text(GAP, GAP + BOX + (index + 1) * LINE, line, "dim")));
    return 2 * GAP + BOX + lines.length * LINE + 3 * GAP;
  }
}

function row(state, tier, name, pods, { y, width, column, over, places }) {
  over.push(text(GAP * 2, y + LINE, name, "strong"));
  const lines = wrapped([...said(state, tier), ...unplaced(pods)], width);
  lines.forEach((line, index) => over.push(text(GAP * 2, y + (index + 2) * LINE, line, "dim")));
  const first = y + (lines.length + 1) * LINE + GAP;
  const height = BOX + (pods.some((pod) => pod.role) ? LINE : 0);
  let most = 0;
  state.zones.forEach((zone, index) => {
    const here = pods.filter((pod) => pod.node === zone.node);
    most = Math.max(most, here.length);
    here.forEach((pod, number) => {
      const box = { x: index * column + 2 * GAP, y: first + number * (height + GAP), width: column - 4 * GAP, height };
      const words = [[`${pod.ready ? "●" : "○"} ${condition(pod)}`, pod.ready ? "good" : "wrong"]];
      words.push([`${age(pod.since, state.at)}${pod.restarts ? `, ${pod.restarts} restarts` : ""}`, "dim"], [pod.role, ""]);
      over.push(...boxed(box, shortName(pod), words, pod.ready));
      places.set(pod.name, box);
    });
  });
  return first + most * (height + GAP) + 2 * GAP;
}

// The figures of the lines that lead to a tier.
function said(state, tier) {
  const shown = (name) => figure(state.figures, name);
  switch (tier) {
    case "gateway":
      return [`401 ${shown("unauthenticated")}`, `403 ${shown("forbidden")}`, `429 ${shown("limited")}`];
    case "service":
      return [`99 of 100 within ${shown("p99_pods")}`, `repeated answers ${shown("replays")}`];
    case "cache":
      return [`lock wait p99 ${shown("lock_wait")}`, `went without ${shown("redis_missed")}`];
    case "database":
      return [`transactions ${shown("transactions")}`, `requests in each ${shown("batch")}`, `run again ${shown("retries")}`];
    default:
      return [];
  }
}

function unplaced(pods) {
  const none = pods.filter((pod) => pod.node === null).length;
  return none ? [`${none} without a place yet`] : [];
}

function boxed(box, title, words, good) {
  const fits = (line) => clipped(line, box.width - 12);
  return [
    shape("rect", { ...box, rx: 6, class: good ? "box" : "box bad" }),
    text(box.x + 6, box.y + LINE, fits(title), "in strong"),
    ...words.map(([line, kind], index) => text(box.x + 6, box.y + (index + 2) * LINE, fits(line), `in ${kind}`)),
  ];
}

function way(from, to, kind) {
  if (!from || !to) return null;
  const start = [from.x + from.width / 2, from.y + from.height];
  const end = [to.x + to.width / 2, to.y];
  const middle = (start[1] + end[1]) / 2;
  return shape("path", { d: `M${start} C${start[0]},${middle} ${end[0]},${middle} ${end}`, class: `way ${kind}` });
}

function wrapped(parts, width) {
  const lines = [];
  for (const part of parts) {
    const joined = lines.length ? `${lines.at(-1)} · ${part}` : part;
    if (lines.length && joined.length * LETTER < width - 4 * GAP) lines[lines.length - 1] = joined;
    else lines.push(part);
  }
  return lines;
}

function clipped(line, width) {
  const most = Math.floor(width / LETTER);
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

function text(x, y, words, kind) {
  const made = shape("text", { x, y, class: kind });
  made.textContent = words;
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
