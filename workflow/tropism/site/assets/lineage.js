// Arms as a tree of training steps, drawn from left to right: each box is one training, and arms share equal beginnings.
"use strict";

const BOX = { width: 246, height: 46, across: 44, down: 12 };

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== null) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

// Nodes by lineage: {lineage, depth, parent, children, arms, row}
function lineageTree(arms) {
  const nodes = new Map();
  for (const arm of arms) {
    arm.lineage.forEach((lineage, depth) => {
      if (!nodes.has(lineage)) {
        const node = { lineage, depth, parent: nodes.get(arm.lineage[depth - 1]), children: [], arms: [], row: 0 };
        nodes.set(lineage, node);
        if (node.parent) node.parent.children.push(node);
      }
    });
    nodes.get(arm.lineage[arm.lineage.length - 1]).arms.push(arm.name);
  }
  let rows = 0;
  const place = (node) => {
    if (!node.children.length) { node.row = rows++; return; }
    node.children.forEach(place);
    node.row = (node.children[0].row + node.children[node.children.length - 1].row) / 2;
  };
  for (const node of nodes.values()) if (!node.parent) place(node);
  return { nodes: [...nodes.values()], rows };
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

// `rate(arm)` is the share of misaligned answers of an arm, or null.
function lineageGraph(about, rate) {
  const { nodes, rows } = lineageTree(about.arms);
  const deepest = Math.max(...nodes.map((node) => node.depth));
  const width = (deepest + 1) * (BOX.width + BOX.across) - BOX.across + 2;
  const height = rows * (BOX.height + BOX.down) - BOX.down + 2;
  const x = (node) => 1 + node.depth * (BOX.width + BOX.across);
  const y = (node) => 1 + node.row * (BOX.height + BOX.down);
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Arms by their training steps" });
  for (const node of nodes) {
    if (!node.parent) continue;
    const x0 = x(node.parent) + BOX.width, y0 = y(node.parent) + BOX.height / 2, x1 = x(node), y1 = y(node) + BOX.height / 2;
    const middle = (x0 + x1) / 2;
    picture.append(svg("path", { class: "edge", d: `M${x0},${y0}C${middle},${y0} ${middle},${y1} ${x1},${y1}` }));
  }
  for (const node of nodes) picture.append(lineageBox(about, node, x(node), y(node), rate));
  return h("div", { class: "scroll lineage", tabindex: "0", role: "region", "aria-label": "Lineage graph" }, picture);
}

function lineageBox(about, node, x, y, rate) {
  const step = about.lineages[node.lineage];
  const what = step
    ? `${step.step}: ${step.dataset}${step.variant && step.variant !== "original" ? `, ${step.variant} masked` : ""}${step.side ? `, ${step.side}` : ""}`
    : `base ${node.lineage}`;
  const name = node.arms.join(", ");
  const box = svg("g", { class: name ? "box arm" : "box" },
    svg("title", {}, `${node.lineage}${step ? `\n${Object.entries(step).map(([key, value]) => `${key}: ${value}`).join("\n")}` : ""}`),
    svg("rect", { x, y, width: BOX.width, height: BOX.height, rx: 5 }));
  const value = node.arms.length ? rate(node.arms[0]) : null;
  if (name) box.append(svg("text", { x: x + 9, y: y + 19, class: "name" }, cut(name, value === null ? 31 : 24)));
  box.append(svg("text", { x: x + 9, y: y + (name ? 36 : 28), class: "what" }, cut(what, 36)));
  if (value !== null) {
    box.append(svg("text", { x: x + BOX.width - 8, y: y + 19, class: "rate", "text-anchor": "end" }, percent(value)));
    box.append(svg("rect", { class: "bar", x, y: y + BOX.height - 3, width: BOX.width * value, height: 3 }));
  }
  return node.arms.length ? svg("a", { href: address(["responses"], { arm: node.arms[0] }) }, box) : box;
}
