// Shared by all views: data loaded as scripts, elements made without markup, and addresses in the hash.
"use strict";

const held = new Map();

// every data file calls this
function tropism(name, value) {
  held.set(name, value);
}

// The data file of that name, loaded once; several may be awaited at the same time.
const coming = new Map();
function load(name) {
  if (held.has(name)) return Promise.resolve(held.get(name));
  if (!coming.has(name)) {
    coming.set(name, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      const end = (settle, value) => { script.remove(); coming.delete(name); settle(value); };
      script.onload = () => held.has(name)
        ? end(resolve, held.get(name))
        : end(reject, new Error(`data/${name}.js holds something else; build the page again`));
      script.onerror = () => end(reject, new Error(`data/${name}.js is missing; build the page again`));
      document.head.append(script);
    }));
  }
  return coming.get(name);
}

// Chunks are kept while there is room; the one unused for longest goes first.
const MOST_CHUNKS = 80;
const used = [];
async function loadChunk(name) {
  const value = await load(name);
  const place = used.indexOf(name);
  if (place >= 0) used.splice(place, 1);
  used.push(name);
  while (used.length > MOST_CHUNKS) held.delete(used.shift());
  return value;
}

// The chunk that holds row `row`, given where chunks start, by bisection.
function chunkOf(starts, row) {
  let low = 0, high = starts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= row) low = middle; else high = middle;
  }
  return low;
}

// An element. Text goes in as text: no value is ever read as markup, and only functions become handlers.
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// `#/view/part?key=value` as {view, parts, params}
function readAddress() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  return { view: parts[0] || "overview", parts: parts.slice(1), params: new URLSearchParams(query || "") };
}

function decode(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function address(parts, params) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params || {})) if (value) query.set(key, value);
  const text = query.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

// Change the address of the view that is shown, without drawing it anew.
function stayAt(parts, params) {
  history.replaceState(null, "", address(parts, params));
}

// A number as one reads it; the exact value belongs in a title.
function shown(value) {
  if (typeof value !== "number") return value === null || value === undefined ? "" : String(value);
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  if (size < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(size >= 1 ? 4 : 3)));
}

// A share in per cent, with one decimal as in the figures: many rates of misalignment are below 1 %.
function percent(value) {
  return value === null ? "" : `${(100 * value).toFixed(1)} %`;
}

// `[low, high]`, or nothing without an interval.
function bracket(low, high, text) {
  return low === null || high === null ? "" : `[${text(low)}, ${text(high)}]`;
}

// A link that saves a file of this folder.
function download(folder, file, label) {
  return h("a", { href: `${folder}/${encodeURIComponent(file)}`, download: file }, label);
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

// The arms of a group of seeds, or null for any other name.
function membersOf(about, name) {
  return Object.hasOwn(about.groups, name) ? about.groups[name] : null;
}

function choice(label, value, options, changed) {
  const select = h("select", { onchange: () => changed(select.value) },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
  return h("label", {}, h("span", {}, label), select);
}

function field(label, value, hint, changed) {
  let timer = 0;
  const input = h("input", {
    type: "search", value, placeholder: hint, spellcheck: "false", autocomplete: "off",
    oninput: () => { clearTimeout(timer); timer = setTimeout(() => changed(input.value), 150); },
  });
  return h("label", {}, h("span", {}, label), input);
}

const views = {};
