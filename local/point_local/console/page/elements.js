// Elements of the page, made of text alone: nothing that is told is ever read as HTML.

export const byId = (id) => document.getElementById(id);

export function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

export function scoped(scope, words) {
  const made = element("th", words);
  made.scope = scope;
  return made;
}

export function spanning(columns, words) {
  const made = element("td", words);
  made.colSpan = columns;
  return made;
}
