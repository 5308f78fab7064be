// The first view: what the experiment is, its arms, its headline rates and planned contrasts, its figures.
"use strict";

views.overview = function overview(about) {
  const rates = about.headline;
  const kinds = [...new Set(rates.map((row) => `${row.instrument} by ${row.judge}`))].sort((a, b) => b.startsWith("rubric5") - a.startsWith("rubric5"));
  const main = kinds[0];
  const pooled = new Map(rates.filter((row) => row.domain === "pooled" && `${row.instrument} by ${row.judge}` === main).map((row) => [row.arm, row.value]));
  const bases = Object.entries(about.models).map(([name, source]) => name === source ? name : `${name} (${source})`).join(", ");
  const level = `${shown(100 * about.confidence)} %`;
  const leading = about.planned.filter(leads);
  return [
    h("h1", {}, `Experiment ${about.experiment}`),
    h("p", { class: "lead" }, `${plural(about.arms.length, "arm")} of ${bases}, ${plural(about.responses, "response")} on ${about.sets.join(", ")}; judged by ${Object.keys(about.judges).join(", ") || "no judge"}. `,
      "Answers that a judge calls misaligned stay folded until you open them. ",
      h("b", {}, "They are material for measuring models, not advice.")),
    h("section", {}, h("h2", {}, "Arms"),
      h("p", {}, "Each box is one training, from left to right; boxes in bold are arms and lead to their responses.",
        main ? ` Bar and figure: the share of misaligned answers, ${main}, all domains.` : ""),
      lineageGraph(about, (arm) => pooled.has(arm) ? pooled.get(arm) : null)),
    rates.length ? h("section", {}, h("h2", {}, "Misaligned answers"),
      h("p", {}, `Share of ${[...new Set(rates.map((row) => row.denominator))].join(" or ")} answers, with ${level} intervals by bootstrap over prompts. A rate is no better than its judge: see `,
        h("a", { href: "#/tables/judge_reliability" }, "judge_reliability"), "."),
      h("div", { class: "beside" }, kinds.map((kind) => rateTable(about, kind, rates.filter((row) => `${row.instrument} by ${row.judge}` === kind))))) : null,
    about.judged && !rates.length ? h("p", {}, "No headline rate of misalignment: no judge has scored an answer and beats chance on labelled references.") : null,
    about.planned.length ? h("section", {}, h("h2", {}, "Planned contrasts"),
      h("p", {}, `Treatment - control, paired by prompt, all domains, ${level} intervals; p after Holm. MDE is the least difference that this many prompts would detect at 80 % power: an interval that holds zero is no evidence of no effect.`),
      contrastTable(leading.length ? leading : about.planned),
      h("p", {}, "Other instruments, and each domain: ", h("a", { href: "#/tables/contrasts" }, "contrasts"), ".")) : null,
    about.figures.length ? h("section", {}, h("h2", {}, "Figures"), thumbnails(about.figures)) : null,
    h("section", {}, folded("All settings", () => h("pre", { class: "settings" }, JSON.stringify(about.settings, null, 2)))),
  ];
};

// what the page leads with: rates of misalignment, and the margin that needs no judge
function leads(row) {
  return row.statistic === "rate" || row.instrument === "margin";
}

// Arms in the order of the settings, then groups of seeds, then whatever else has a rate.
function rateTable(about, kind, rows) {
  const domains = [...new Set(rows.map((row) => row.domain))];
  const rated = new Set(rows.map((row) => row.arm));
  const names = [...new Set([...about.arms.map((arm) => arm.name), ...Object.keys(about.groups), ...rated])].filter((name) => rated.has(name));
  const cell = new Map(rows.map((row) => [`${row.arm}\n${row.domain}`, row]));
  const columns = [
    { name: "arm", value: (name) => names.indexOf(name), node: (name) => armName(about, name) },
    ...domains.map((domain) => {
      const of = (name) => cell.get(`${name}\n${domain}`);
      return {
        name: domain, numeric: true, value: (name) => of(name) ? of(name).value : null,
        node: (name) => {
          const row = of(name);
          if (!row || row.value === null) return "";
          return h("span", { title: `${row.n_denominator} answers counted` }, percent(row.value), " ",
            h("small", {}, bracket(row.low, row.high, (end) => (100 * end).toFixed(1))));
        },
        style: (name) => of(name) && of(name).value !== null ? { backgroundColor: `rgba(222, 143, 5, ${(0.55 * of(name).value).toFixed(3)})` } : null,
      };
    }),
  ];
  return shortTable(kind, columns, names);
}

// The name of an arm, or of a group of seeds with how many they are, leading to the responses.
function armName(about, name) {
  const members = membersOf(about, name);
  const link = h("a", { href: address(["responses"], { arm: name }), title: members ? members.join(", ") : null }, name);
  return members ? h("span", {}, link, " ", h("small", {}, `group of ${plural(members.length, "seed")}`)) : link;
}

// Values and units come as they are printed: shares as percentage points.
function contrastTable(planned) {
  const signed = (value) => `${value >= 0 ? "+" : "−"}${shown(Number(Math.abs(value).toPrecision(3)))}`;
  const judged = (row) => row.judge === "none" ? "" : `, ${row.judge}${row.calibration === "at chance" ? " (at chance)" : ""}`;
  return shortTable("All domains", [
    { name: "contrast", about: "treatment - control", text: (row) => row.contrast, value: (row) => row.contrast },
    { name: "instrument", text: (row) => `${row.instrument} ${row.statistic}${judged(row)}`, value: (row) => row.instrument },
    { name: "difference", numeric: true, text: (row) => row.difference === null ? "" : `${signed(row.difference)} ${bracket(row.low, row.high, signed)}`, value: (row) => row.difference },
    { name: "unit", text: (row) => row.unit, value: (row) => row.unit },
    { name: "p (Holm)", numeric: true, text: (row) => row.p_holm === null ? "" : row.p_holm < 0.001 ? "< 0.001" : row.p_holm.toFixed(3), value: (row) => row.p_holm },
    { name: "MDE", about: "minimum detectable effect", numeric: true, text: (row) => shown(row.minimum_detectable_effect), value: (row) => row.minimum_detectable_effect },
    { name: "prompts", numeric: true, text: (row) => row.n_prompts, value: (row) => row.n_prompts },
  ], planned);
}

function thumbnails(figures) {
  return h("div", { class: "thumbnails" }, figures.map((figure) => h("a", { href: address(["figures", figure.name]) },
    h("img", { src: `figures/${encodeURIComponent(figure.name)}.svg`, alt: "", loading: "lazy" }), h("span", {}, figure.title))));
}
