// Published tables: each sorts by any column and filters by words.
"use strict";

views.tables = async function tables(about, { parts, params }) {
  if (!parts.length) {
    return [h("h1", {}, "Tables"), h("p", {}, "Each is also here as the CSV that was published."),
      h("dl", { class: "tables" }, about.tables.map((table) => [
        h("dt", {}, h("a", { href: address(["tables", table.name]) }, table.name), ` ${plural(table.rows, "row")}, `, tableFile(table)),
        h("dd", {}, table.about)]))];
  }
  const one = about.tables.find((table) => table.name === parts[0]);
  if (!one) return [h("h1", {}, "Tables"), h("p", {}, `There is no table ${parts[0]}.`)];
  const columns = await load(`tables/${one.name}`);
  const state = { sort: params.get("sort") || "", down: params.get("down") === "1", filter: params.get("filter") || "" };
  const count = h("span", { class: "count", role: "status" });
  const changed = () => {
    stayAt(["tables", one.name], { sort: state.sort, down: state.down ? "1" : "", filter: state.filter });
    count.textContent = table.order.length === one.rows ? plural(one.rows, "row") : `${table.order.length.toLocaleString("en")} of ${plural(one.rows, "row")}`;
  };
  const table = new LongTable(columns, state, changed);
  changed();
  return [
    h("h1", {}, one.name),
    h("p", {}, one.about),
    h("p", {}, "Download: ", tableFile(one)),
    folded("What the columns mean", () => h("dl", { class: "columns" }, columns.map((column) => [h("dt", {}, column.name), h("dd", {}, column.about)]))),
    h("div", { class: "filters" },
      choice("Table", one.name, about.tables.map((other) => [other.name, other.name]), (name) => { location.hash = address(["tables", name]); }),
      field("Rows with", state.filter, "words, column=value", (words) => { state.filter = words; table.arrange(); changed(); }), count),
    table.same.length ? h("p", { class: "quiet same" }, "In all rows: ", table.same.map((column) => `${column.name} ${column.cells[0] === null ? "empty" : column.cells[0]}`).join(", "), ".") : null,
    one.rows ? table.list.element : h("p", {}, "This table has no rows."),
  ];
};

function tableFile(table) {
  return download("tables", `${table.name}.csv`, "CSV");
}
