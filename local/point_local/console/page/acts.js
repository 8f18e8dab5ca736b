// What a page asks to be done; the answer is how everything is then.

import { byId } from "./elements.js";

export async function act(name, body, took) {
  const refused = byId("refused");
  refused.textContent = "";
  try {
    const headers = { Authorization: `Bearer ${sessionStorage.getItem("token") ?? ""}`, "Content-Type": "application/json" };
    const answer = await fetch(`acts/${name}`, { method: "POST", headers, body: JSON.stringify(body) });
    const told = await answer.json();
    if (answer.ok) took(told);
    else refused.textContent = `Refused: ${told.error ?? told.detail}`;
  } catch (error) {
    refused.textContent = `No answer: ${error.message}`;
  }
}
