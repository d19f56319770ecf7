"use strict";

// Tables: a click on a heading sorts, numbers as numbers and empty cells last; the field above filters.
for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const section = table.closest("section");
  const output = section.querySelector("output");
  const search = section.querySelector("input");
  const filter = () => {
    const wanted = search.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    output.textContent = `${shown} of ${rows.length} rows`;
  };
  search.addEventListener("input", filter);
  filter();
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!head) return;
    const order = head.ariaSort === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order > 0 ? "ascending" : "descending");
    const key = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
    const numeric = (text) => text !== "" && !Number.isNaN(Number(text));
    rows.sort((one, two) => {
      const [a, b] = [key(one), key(two)];
      if (a === "" || b === "") return (a === "") - (b === "");
      return order * (numeric(a) && numeric(b) ? a - b : a.localeCompare(b, "en", { numeric: true }));
    });
    body.append(...rows);
  });
}

// The map of a plate: any feature that the page holds. Text is set as text, never as markup.
const data = document.getElementById("data");
if (data) {
  const plate = JSON.parse(data.textContent);
  const map = document.getElementById("map");
  const svg = map.querySelector("svg");
  const select = map.querySelector("select");
  const side = 30, left = 26, top = 20;
  const node = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const digits = (value) => Number(value.toPrecision(4)).toString();
  const letters = (row) => (row < 26 ? "" : String.fromCharCode(64 + Math.floor(row / 26))) + String.fromCharCode(65 + (row % 26));
  const draw = () => {
    const feature = plate.features[select.selectedIndex];
    const { low, high } = feature;
    svg.replaceChildren();
    for (let column = 0; column < plate.columns; column++)
      svg.append(node("text", { x: left + (column + 0.5) * side, y: 14, "text-anchor": "middle", "font-size": 11 }, column + 1));
    for (let row = 0; row < plate.rows; row++) {
      svg.append(node("text", { x: left - 6, y: top + (row + 0.65) * side, "text-anchor": "end", "font-size": 11 }, letters(row)));
      for (let column = 0; column < plate.columns; column++)
        svg.append(node("rect", { x: left + column * side + 2, y: top + row * side + 2, width: side - 4, height: side - 4, fill: "#fff", stroke: "#c8c8c8" }));
    }
    plate.wells.forEach((well, index) => {
      const value = feature.values[index];
      const place = value === null ? 0 : Math.min(1, Math.max(0, (value - low) / (high - low)));
      const done = well.status === "done";
      const fill = value !== null ? plate.colours[Math.round(place * (plate.colours.length - 1))] : done ? "#dddddd" : "#fff";
      const group = node("g", {});
      group.append(node("rect", { x: left + well.column * side + 0.5, y: top + well.row * side + 0.5, width: side - 1, height: side - 1, fill, stroke: done ? "none" : "#888" }));
      const mark = done ? { neg: "−", pos: "+" }[well.control] : "×";
      if (mark) group.append(node("text", { x: left + (well.column + 0.5) * side, y: top + (well.row + 0.5) * side + 6, "text-anchor": "middle", "font-size": 18, fill: value !== null && place < 0.6 ? "#fff" : "#222" }, mark));
      group.append(node("title", {}, `${well.name}: ${value === null ? (done ? "no value" : well.status) : digits(value)}${well.note ? "\n" + well.note : ""}`));
      svg.append(group);
    });
    const canvas = map.querySelector("canvas");
    const context = canvas.getContext("2d");
    for (let y = 0; y < 256; y++) {
      context.fillStyle = plate.colours[Math.round((1 - y / 255) * (plate.colours.length - 1))];
      context.fillRect(0, y, 18, 1);
    }
    const ticks = low === null ? ["no values"] : [1, 0.75, 0.5, 0.25, 0].map((part) => digits(low + part * (high - low)));
    map.querySelector("ol").replaceChildren(...ticks.map((text, index) => {
      const item = document.createElement("li");
      item.textContent = (index === 0 && feature.extend.max ? "≥ " : index === 4 && feature.extend.min ? "≤ " : "") + text;
      return item;
    }));
  };
  svg.style.width = `${plate.columns * Math.max(side, 560 / plate.columns)}px`;
  svg.setAttribute("viewBox", `0 0 ${left + plate.columns * side + 4} ${top + plate.rows * side + 4}`);
  select.append(...plate.features.map((feature) => new Option(feature.name)));
  select.addEventListener("change", draw);
  draw();
}
