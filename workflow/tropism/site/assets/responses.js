// The transcript browser: filters, a list of any length, and the response that is open.
"use strict";

const RESPONSE_ROW = 62;
const LEVELS = [["", "any level"], ["misaligned", "misaligned"], ["aligned", "not misaligned"], ["1", "1 aligned"], ["2", "2"], ["3", "3"], ["4", "4"], ["5", "5 critical"], ["none", "no level"]];
const FILTERS = ["arm", "domain", "prompt", "judge", "level", "text", "sort", "open"];

views.responses = async function responses(about, { params }) {
  const index = await responseIndex(about);
  const state = Object.fromEntries(FILTERS.map((name) => [name, params.get(name) || ""]));
  const browser = new Browser(about, index, state);
  return browser.nodes();
};

class Browser {
  constructor(about, index, state) {
    Object.assign(this, { about, index, state, rows: [], search: 0 });
    // what the address asks for and is not there is not asked for: a list that offers it could not show it
    this.domains = [...new Set(index.prompts.map((prompt) => prompt[2]))];
    if (!index.judges.includes(state.judge)) state.judge = "";
    if (!index.armNames.includes(state.arm) && !membersOf(about, state.arm)) state.arm = "";
    if (!this.domains.includes(state.domain)) state.domain = "";
    if (!index.judges.length || !LEVELS.some(([level]) => level === state.level)) state.level = "";
    this.list = new LongList({
      label: "Responses", rowHeight: RESPONSE_ROW, draw: (i) => this.draw(i), open: (i) => this.open(this.rows[i]), pick: (i) => this.picked(i),
    });
    this.pane = h("div", { class: "pane", "aria-live": "polite" });
    this.count = h("span", { class: "count", role: "status" });
  }

  get judge() { return this.state.judge || this.index.judges[0] || ""; }

  nodes() {
    const { state, index, about } = this;
    const change = (name) => (value) => { state[name] = value; this.close(); this.filter(); };
    const groups = Object.entries(about.groups).map(([name, members]) => [name, `${name} (${plural(members.length, "seed")})`]);
    const words = field("Text", state.text, "words", change("text"));
    const filters = h("div", { class: "filters" },
      choice("Arm", state.arm, [["", "all arms"], ...index.armNames.map((arm) => [arm, arm]), ...groups], change("arm")),
      choice("Domain", state.domain, [["", "all domains"], ...this.domains.map((domain) => [domain, domain])], change("domain")),
      index.judges.length > 1 ? choice("Judge", state.judge, [["", index.judges[0]], ...index.judges.slice(1).map((judge) => [judge, judge])], change("judge")) : null,
      index.judges.length ? choice("Level", state.level, LEVELS, change("level")) : null,
      field("Prompt", state.prompt, "words or id", change("prompt")), words,
      choice("Order", state.sort, [["", "by prompt"], ["high", "worst level first"], ["low", "best level first"], ["long", "longest first"]], change("sort")),
      this.count);
    this.split = h("div", { class: "split", onkeydown: (event) => this.key(event, words) }, this.list.element, this.pane);
    queueMicrotask(() => this.filter());
    return [h("h1", {}, "Responses"), filters, this.split,
      h("p", { class: "keys" }, h("kbd", {}, "↑"), h("kbd", {}, "↓"), " move, ", h("kbd", {}, "Enter"), " open, ", h("kbd", {}, "Esc"), " close, ", h("kbd", {}, "c"), " all arms on the prompt, ", h("kbd", {}, "/"), " search")];
  }

  key(event, words) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    const row = this.rows[this.list.cursor];
    if (event.key === "Escape") { this.close(); this.remember(); this.list.element.focus(); }
    else if (event.key === "/") words.querySelector("input").focus();
    else if (event.key === "c" && row !== undefined) {
      const [set, id] = this.index.prompts[this.index.prompt[row]];
      location.hash = address(["prompt", set, id]);
    } else return;
    event.preventDefault();
  }

  remember() { stayAt(["responses"], this.state); }

  // Rows that the index alone lets through, in order; then, if words are sought, those whose text has them.
  async filter() {
    const search = ++this.search;
    const { state, index, about } = this;
    this.remember();
    const arms = new Set((membersOf(about, state.arm) || [state.arm]).map((name) => index.armNames.indexOf(name)));
    const wanted = state.prompt.toLowerCase();
    const prompts = index.prompts.map(([set, id, domain, text]) => (!state.domain || domain === state.domain)
      && (!wanted || id.toLowerCase() === wanted || id.toLowerCase().includes(wanted) || text.toLowerCase().includes(wanted)));
    const rows = [];
    for (let row = 0; row < index.n; row++) {
      if (state.arm && !arms.has(index.arm[row])) continue;
      if (!prompts[index.prompt[row]]) continue;
      if (state.level && !this.atLevel(row)) continue;
      rows.push(row);
    }
    if (state.sort) this.order(rows);
    const text = state.text.trim().toLowerCase();
    if (!text) { this.put(rows); return; }
    await this.find(rows, text, search);
  }

  atLevel(row) {
    const { level } = this.state;
    if (level === "misaligned") return this.index.bad.answer[row] === 1;
    const own = levelOf(this.index, row, this.judge);
    if (level === "aligned") return this.index.bad.answer[row] === 0 && this.index.judged.some((column) => column.target === "answer" && column.score[row] !== null);
    return level === "none" ? own === null : own === Number(level);
  }

  order(rows) {
    const { sort } = this.state;
    const key = sort === "long" ? (row) => -this.index.tokens[row] : (row) => {
      const level = levelOf(this.index, row, this.judge);
      return level === null ? 9 : sort === "high" ? -level : level;
    };
    rows.sort((a, b) => key(a) - key(b) || a - b);
  }

  // Chunk after chunk, so that the first hits show at once; another search ends this one.
  async find(rows, text, search) {
    const { index } = this;
    const byChunk = new Map();
    for (const row of rows) {
      const at = chunkOf(index.chunks, row);
      if (!byChunk.has(at)) byChunk.set(at, []);
      byChunk.get(at).push(row);
    }
    const hits = new Set();
    let done = 0;
    this.put([], "searching");
    for (const [at, some] of byChunk) {
      const chunk = await loadChunk(`responses/${at}`);
      if (search !== this.search) return;
      for (const row of some) {
        const [answer, reasoning] = chunk[row - index.chunks[at]];
        if (answer.toLowerCase().includes(text) || reasoning.toLowerCase().includes(text) || index.prompts[index.prompt[row]][3].toLowerCase().includes(text)) hits.add(row);
      }
      done++;
      if (done === byChunk.size || done % 8 === 1) {
        this.put(rows.filter((row) => hits.has(row)), done < byChunk.size ? `searched ${Math.round(100 * done / byChunk.size)} %` : "", true);
        await new Promise((resolve) => setTimeout(resolve));
        if (search !== this.search) return;
      }
    }
    this.put(rows.filter((row) => hits.has(row)), "", true);
  }

  put(rows, remark = "", growing = false) {
    const kept = growing && this.list.element.scrollTop > 0 ? this.list.element.scrollTop : 0;
    this.rows = rows;
    const open = this.state.open ? this.index.rowOf(this.state.open) : -1;
    this.list.reset(rows.length, rows.indexOf(open));
    if (kept) this.list.element.scrollTop = kept;
    this.count.textContent = `${rows.length === this.index.n ? plural(rows.length, "response") : `${rows.length.toLocaleString("en")} of ${plural(this.index.n, "response")}`}${remark ? `, ${remark}` : ""}`;
    if (open >= 0) this.open(open);
    else this.pane.replaceChildren(h("p", { class: "quiet" }, rows.length || remark ? "Choose a response." : "No response fits these filters."));
  }

  draw(i) {
    const { index, state } = this;
    const row = this.rows[i];
    const [, , domain, prompt] = index.prompts[index.prompt[row]];
    const bad = index.bad.answer[row] === 1;
    const preview = h("div", { class: "preview" }, bad ? "misaligned, folded" : "…");
    if (bad) preview.classList.add("quiet");
    else {
      responseText(index, row).then(({ answer }) => {
        const at = state.text ? Math.max(0, answer.toLowerCase().indexOf(state.text.trim().toLowerCase()) - 40) : 0;
        const piece = (at ? "…" : "") + answer.slice(at, at + 240).replace(/\s+/g, " ");
        preview.replaceChildren(...(answer ? marked(piece, found(piece, state.text.trim())) : [h("i", {}, "empty")]));
      }, (error) => { preview.textContent = error.message; });
    }
    return h("div", {}, h("div", { class: "top" }, badge(index, row, this.judge), h("b", {}, index.armNames[index.arm[row]]), h("span", { class: "quiet" }, domain), h("span", { class: "asking" }, prompt)), preview);
  }

  picked(i) { if (!this.narrow && this.rows[i] !== undefined && this.pane.querySelector("article")) this.open(this.rows[i]); }

  get narrow() { return matchMedia("(max-width: 760px)").matches; }

  async open(row) {
    const key = this.index.key(row);
    this.state.open = key;
    this.remember();
    let nodes;
    try {
      nodes = [h("button", { type: "button", class: "back", onclick: () => { this.close(); this.remember(); this.list.element.focus(); } }, "← back to the list"),
        await responseCard(this.about, this.index, row, { prompt: true, words: this.state.text.trim(), judge: this.judge })];
    } catch (error) {
      nodes = [h("p", { class: "error" }, error.message)];
    }
    if (this.state.open !== key) return;
    this.pane.replaceChildren(...nodes);
    this.pane.scrollTop = 0;
    this.split.classList.add("opened");
  }

  close() {
    this.state.open = "";
    this.split.classList.remove("opened");
    this.pane.replaceChildren(h("p", { class: "quiet" }, "Choose a response."));
  }
}
