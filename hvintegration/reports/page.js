"use strict";
// Browsers take seconds to lay out thousands of rows: only so many are shown unless all are asked for.
document.documentElement.classList.add("few");
addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector(".findings");
  if (!table) return;
  const few = 300;
  let most = few;
  const body = table.tBodies[0];
  const form = document.querySelector("form");
  const status = document.querySelector("[role=status]");
  const more = document.querySelector(".more");
  const field = (name) => form.elements.namedItem(name);
  const text = (row, name) => row.querySelector(`.${name} bdi, .${name} .badge`)?.textContent ?? "";
  const rank = ["error", "warning", "note"];
  const rows = Array.from(body.rows, (row, order) => ({
    row,
    order,
    severity: text(row, "severity"),
    vm: text(row, "vm"),
    service: text(row, "service"),
    finding: row.querySelector("code").textContent,
    accepted: row.querySelector(".badge.accepted") !== null,
    fresh: row.querySelector(".badge.new") !== null,
    words: row.textContent.toLowerCase(),
  }));
  const compared = new Intl.Collator(undefined, { numeric: true }).compare;
  const key = {
    severity: (one, other) => rank.indexOf(one.severity) - rank.indexOf(other.severity),
    vm: (one, other) => compared(one.vm, other.vm),
    service: (one, other) => compared(one.service, other.service),
    finding: (one, other) => compared(one.finding, other.finding),
  };

  for (const name of ["vm", "service"]) {
    const found = [...new Set(rows.map((each) => each[name]))].sort(compared);
    field(name).append(...found.map((each) => new Option(each || "(none)", `=${each}`)));
  }

  const filter = () => {
    const severities = new Set(rank.filter((each) => field(each).checked));
    const [vm, service, state] = ["vm", "service", "state"].map((name) => field(name).value);
    const words = field("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (each) =>
      severities.has(each.severity) &&
      (!vm || vm === `=${each.vm}`) &&
      (!service || service === `=${each.service}`) &&
      (state === "all" || (state === "accepted" ? each.accepted : !each.accepted && (state !== "new" || each.fresh))) &&
      words.every((word) => each.words.includes(word));
    const fitting = rows.filter(fits);
    const shown = fitting.slice(0, most);
    body.replaceChildren(...shown.map((each) => each.row));
    status.textContent = `${shown.length} of ${rows.length} findings shown`;
    more.hidden = shown.length === fitting.length;
    more.textContent = `Show all ${fitting.length} that fit`;
  };

  const changed = () => {
    most = few;
    filter();
  };

  const sort = (head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const by = key[head.dataset.key];
    rows.sort((one, other) => (down ? by(other, one) : by(one, other)) || one.order - other.order);
    filter();
  };

  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
  }

  let wanted = 0;
  form.addEventListener("input", () => {
    cancelAnimationFrame(wanted);
    wanted = requestAnimationFrame(changed);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(changed));
  more.addEventListener("click", () => {
    most = Infinity;
    filter();
    table.focus();
  });

  let closed = [];
  let before = most;
  addEventListener("beforeprint", () => {
    before = most;
    most = Infinity;
    filter();
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
    most = before;
    filter();
  });

  form.hidden = false;
  filter();
  document.documentElement.classList.remove("few");
});
