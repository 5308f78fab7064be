// Tables: a short one that sorts, and a long one of which only the rows on the screen exist.
"use strict";

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// `compare`, or its reverse; empty cells are last either way.
function comparing(down) {
  return (a, b) => a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b);
}

// `columns`: {name, about, text(row), value(row), node(row)?, numeric}; a click on a heading sorts by it.
function shortTable(caption, columns, rows) {
  const body = h("tbody");
  let by = -1, down = false;
  const fill = () => {
    const before = comparing(down);
    const ordered = by < 0 ? rows : [...rows].sort((a, b) => before(columns[by].value(a), columns[by].value(b)));
    body.replaceChildren(...ordered.map((row) => h("tr", {}, columns.map((column) =>
      h("td", { class: column.numeric ? "number" : null, style: column.style ? column.style(row) : null },
        column.node ? column.node(row) : String(column.text(row)))))));
  };
  const heads = columns.map((column, i) => h("th", { scope: "col", class: column.numeric ? "number" : null },
    h("button", { type: "button", title: column.about || null, onclick: () => {
      down = by === i ? !down : Boolean(column.numeric);
      by = i;
      heads.forEach((head, j) => j === i ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
      fill();
    } }, column.name)));
  fill();
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads)), body));
}

// `column=value`, `column="several words"`, `"several words"` or a word
const TERM = /([^\s="]+)=(?:"([^"]*)"?|(\S*))|"([^"]*)"?|(\S+)/g;

// What a row has to pass, one test a term: `column=value` is exactly that, anything else may be in any column. Case is ignored.
function filterTests(columns, filter) {
  const text = (cell) => cell === null ? "" : String(cell).toLowerCase();
  return [...filter.toLowerCase().matchAll(TERM)].map(([term, name, quoted, bare, phrase]) => {
    const column = columns.find((one) => one.name.toLowerCase() === name);
    if (!column) {
      const words = phrase === undefined ? term : phrase;
      return (i) => columns.some(({ cells }) => text(cells[i]).includes(words));
    }
    const value = quoted === undefined ? bare : quoted;
    // a number may be written in another way than here, as 1e-07 and 1e-7
    return (i) => text(column.cells[i]) === value || (typeof column.cells[i] === "number" && value !== "" && column.cells[i] === Number(value));
  });
}

const CELL = 7.2, CELL_PAD = 22, WIDEST = 300, GRID_ROW = 28;

// A table of columns {name, about, numeric, cells}, with `state` {sort, down, filter}; changed() after each change of it.
class LongTable {
  constructor(columns, state, changed) {
    const n = columns.length ? columns[0].cells.length : 0;
    // a column that says the same in all rows is said once, above
    const constant = (column) => n > 1 && column.cells.every((cell) => cell === column.cells[0]);
    this.every = columns;
    this.same = columns.filter(constant);
    columns = columns.filter((column) => !constant(column));
    Object.assign(this, { columns, state, changed, order: [] });
    this.all = Array.from({ length: n }, (_, i) => i);
    this.widths = columns.map((column) => {
      let longest = column.name.length + 2;
      for (let i = 0; i < n; i += Math.max(1, Math.floor(n / 400))) longest = Math.max(longest, shown(column.cells[i]).length);
      return Math.min(WIDEST, Math.ceil(longest * CELL + CELL_PAD));
    });
    const width = this.widths.reduce((a, b) => a + b, 0);
    this.list = new LongList({ label: "Rows", rowHeight: GRID_ROW, draw: (i) => this.row(this.order[i]), open: () => {} });
    this.list.element.classList.add("grid");
    this.list.space.style.width = `${width}px`;
    this.heads = columns.map((column, i) => h("button", {
      type: "button", class: column.numeric ? "number" : null, title: column.about || null,
      style: { width: `${this.widths[i]}px` }, onclick: () => this.sort(i),
    }, column.name));
    this.head = h("div", { class: "gridhead", style: { width: `${width}px` } }, this.heads);
    this.list.element.prepend(this.head);
    this.arrange();
  }

  row(i) {
    return h("div", {}, this.columns.map((column, j) => {
      const cell = column.cells[i];
      return h("span", {
        class: column.numeric ? "number" : null, style: { width: `${this.widths[j]}px` }, title: cell === null ? "no value" : String(cell),
      }, shown(cell));
    }));
  }

  sort(i) {
    const { name, numeric } = this.columns[i];
    this.state.down = this.state.sort === name ? !this.state.down : numeric;
    this.state.sort = name;
    this.arrange();
    this.changed();
  }

  arrange() {
    const { sort, down, filter } = this.state;
    const tests = filterTests(this.every, filter || "");
    this.order = this.all.filter((i) => tests.every((test) => test(i)));
    const by = this.columns.findIndex((column) => column.name === sort);
    if (by >= 0) {
      const { cells } = this.columns[by];
      const before = comparing(down);
      this.order.sort((a, b) => before(cells[a], cells[b]));
    }
    this.heads.forEach((head, i) => i === by ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    this.list.reset(this.order.length);
  }
}
