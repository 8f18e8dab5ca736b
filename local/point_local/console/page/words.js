// What the state says, in words: used by the picture and by the tables.

export const TIERS = [
  ["gateway", "Ingress gateway"],
  ["service", "Point service"],
  ["migration", "Migration"],
  ["limit", "Rate limit"],
  ["cache", "Redis"],
  ["database", "MySQL"],
  ["operator", "Point operator"],
  ["istiod", "istiod (mesh)"],
  ["prometheus", "Prometheus"],
];

export const FIGURES = [
  ["requests", "requests", rate],
  ["errors", "server errors", percent],
  ["p99", "99 of 100 answered within", seconds],
  ["p99_pods", "the same, in the pods", seconds],
  ["unauthenticated", "refused: 401, token", rate],
  ["forbidden", "refused: 403, not allowed", rate],
  ["limited", "refused: 429, rate limit", rate],
  ["transactions", "database transactions", rate],
  ["batch", "requests a transaction", plain],
  ["connections", "database connections in use", plain],
  ["retries", "transactions run again", rate],
  ["lock_wait", "wait for a member's lock (p99)", seconds],
  ["replays", "answers repeated under their key", rate],
  ["redis_missed", "calls that went without Redis", rate],
];

export const BOOKS = [
  ["EARN", "earned"],
  ["USE", "used"],
  ["CANCEL_USE", "uses cancelled"],
  ["CANCEL_EARN", "earnings cancelled"],
  ["EXPIRE", "expired"],
];

export function booked(line) {
  if (!line) return "–";
  return `${line.points.toLocaleString("en")} points, ${line.entries.toLocaleString("en")} entries`;
}

// Ready should be so; of the others none should.
export function asWanted(one) {
  return (one.status === "True") === (one.type === "Ready");
}

const SHOWN = Object.fromEntries(FIGURES.map(([name, , write]) => [name, write]));

export function figure(figures, name) {
  return SHOWN[name](figures[name]);
}

export function rate(value) { return has(value) ? `${short(value)}/s` : "–"; }
export function percent(value) { return has(value) ? `${short(value * 100)}%` : "–"; }
export function plain(value) { return has(value) ? short(value) : "–"; }
export function seconds(value) {
  if (!has(value)) return "–";
  return value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
}

export function age(since, now) {
  if (!has(since)) return "not started";
  const passed = Math.max(0, now - since);
  if (passed < 120) return `${Math.floor(passed)} s`;
  if (passed < 7200) return `${Math.floor(passed / 60)} min`;
  return passed < 172800 ? `${Math.floor(passed / 3600)} h` : `${Math.floor(passed / 86400)} d`;
}

export function clock(at) {
  return has(at) ? new Date(at * 1000).toLocaleTimeString([], { hour12: false }) : "–";
}

// The end of a pod's name, which tells it from its brothers: points-5677f6657f-2wn87 is 2wn87.
export function shortName(pod) {
  const rest = pod.name.startsWith(`${pod.workload}-`) ? pod.name.slice(pod.workload.length + 1) : pod.name;
  return rest === "0" ? pod.workload : rest.split("-").pop();
}

export function condition(pod) {
  if (pod.ready) return "ready";
  return pod.phase === "Running" ? "not ready" : pod.phase.toLowerCase();
}

export function zoneState(zone) {
  if (!zone.runs) return "dark";
  return zone.ready ? "up" : "not ready";
}

export function edge(state) {
  return state.edge.answers === 200 ? "answers" : state.edge.answers ? `answers ${state.edge.answers}` : "no answer";
}

function has(value) { return value !== null && value !== undefined; }

function short(value) {
  if (value !== 0 && Math.abs(value) < 0.01) return "< 0.01";
  return value.toLocaleString("en", { maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 });
}
