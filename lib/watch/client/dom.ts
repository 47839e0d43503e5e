/** Elements with text only: whatever the names of runs hold, it is shown and never read as HTML. */

/** Makes an element; children that are texts become text nodes. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The element of the page with an id. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/** Sets a text where it differs, so that nothing is announced or selected anew. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
