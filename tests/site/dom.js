// A built page drawn without a browser: its own scripts on elements that only remember what they were given.
// node dom.js <folder of the page> <address, such as #/tables> [<text of a button to press>...]: the view as JSON,
// {tag, attributes, children}.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [folder, hash, ...presses] = process.argv.slice(2);
const read = (file) => fs.readFileSync(path.join(folder, file), "utf8");

class Element {
  constructor(tag) {
    Object.assign(this, { tag, attributes: {}, children: [], listeners: {}, style: {}, dataset: {}, scrollTop: 0, clientHeight: 10000 });
    this.classList = { add: (...names) => this.toggle(names, true), remove: (...names) => this.toggle(names, false) };
  }
  toggle(names, on) {
    const kept = (this.attributes.class || "").split(" ").filter((name) => name && !names.includes(name));
    this.attributes.class = [...kept, ...(on ? names : [])].join(" ");
  }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  removeAttribute(name) { delete this.attributes[name]; }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  take(nodes) { for (const node of nodes) if (node instanceof Element) { node.remove(); node.parent = this; } return nodes.map((node) => node instanceof Element ? node : String(node)); }
  append(...nodes) { this.children.push(...this.take(nodes)); for (const node of nodes) if (node.tag === "script") run(node); }
  prepend(...nodes) { this.children.unshift(...this.take(nodes)); }
  replaceChildren(...nodes) { this.children = this.take(nodes); }
  remove() { if (this.parent) this.parent.children = this.parent.children.filter((child) => child !== this); }
  set textContent(text) { this.children = [String(text)]; }
  get textContent() { return this.children.map((child) => child instanceof Element ? child.textContent : child).join(""); }
  querySelector() { return null; }
  focus() {}
  toJSON() { return { tag: this.tag, attributes: this.attributes, children: this.children }; }
}

// a script that the page adds: a data file
function run(script) {
  try { vm.runInContext(read(script.src), context, { filename: script.src }); } catch (error) { setImmediate(script.onerror, error); return; }
  setImmediate(script.onload);
}

const named = { view: new Element("main"), experiment: new Element("span"), menu: new Element("nav") };
const skip = new Element("a");
const context = vm.createContext({
  document: {
    createElement: (tag) => new Element(tag), createElementNS: (_, tag) => new Element(tag), head: new Element("head"),
    getElementById: (id) => named[id], querySelector: () => skip, title: "",
  },
  ResizeObserver: class { observe() {} },
  location: { hash }, history: { replaceState() {} }, performance: { mark() {} }, matchMedia: () => ({ matches: false }),
  addEventListener() {}, scrollTo() {}, setTimeout, clearTimeout, queueMicrotask, URLSearchParams, console,
});
vm.runInContext("globalThis.window = globalThis", context);
for (const [, file] of read("index.html").matchAll(/<script src="([^"]+)"/g)) vm.runInContext(read(file), context, { filename: file });

function button(text, element) {
  if (element.tag === "button" && element.textContent === text) return element;
  for (const child of element.children) { const found = child instanceof Element && button(text, child); if (found) return found; }
  return null;
}

// once nothing is awaited any more
process.once("beforeExit", () => {
  for (const text of presses) button(text, named.view).listeners.click({});
  process.stdout.write(JSON.stringify(named.view));
});
