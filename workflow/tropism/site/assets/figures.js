// Figures, all or one; each is an image, so nothing in it can run.
"use strict";

const CAPTION_STYLES = ["b", "i", "code"];

views.figures = function figures(about, { parts }) {
  const one = about.figures.find((figure) => figure.name === parts[0]);
  if (parts.length && !one) return [h("h1", {}, "Figures"), h("p", {}, `There is no figure ${parts[0]}.`)];
  if (!one) {
    const sections = [...new Set(about.figures.map((figure) => figure.section))];
    return [h("h1", {}, "Figures"), ...sections.map((section) => h("section", {}, h("h2", {}, section),
      thumbnails(about.figures.filter((figure) => figure.section === section))))];
  }
  const at = about.figures.indexOf(one);
  const step = (by) => about.figures[(at + by + about.figures.length) % about.figures.length].name;
  return [
    h("h1", {}, one.title),
    h("p", { class: "steps" }, h("a", { href: address(["figures", step(-1)]) }, "← previous"), " ", h("a", { href: "#/figures" }, "all figures"), " ",
      h("a", { href: address(["figures", step(1)]) }, "next →")),
    h("figure", {},
      h("div", { class: "figure scroll", tabindex: "0", role: "region", "aria-label": one.title },
        h("img", { src: `figures/${encodeURIComponent(one.name)}.svg`, alt: one.title })),
      one.caption.length ? h("figcaption", {}, one.caption.map((runs) => h("p", {}, runs.map(([style, text]) => CAPTION_STYLES.includes(style) ? h(style, {}, text) : text)))) : null),
    h("p", { class: "links" }, "Download: ", one.files.map((ending) => download("figures", `${one.name}.${ending}`, ending === "csv" ? "CSV of the plotted points" : ending.toUpperCase()))),
    one.findings.length ? h("section", {}, h("h2", {}, "In this run"), h("ul", {}, one.findings.map((sentence) => h("li", {}, sentence)))) : null,
  ];
};
