"use strict";
(() => {
  const table = document.querySelector(".findings");
  if (!table) return;
  const body = table.tBodies[0];
  const form = document.querySelector("form");
  const status = document.querySelector("[role=status]");
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
    let shown = 0;
    for (const each of rows) {
      const fits =
        severities.has(each.severity) &&
        (!vm || vm === `=${each.vm}`) &&
        (!service || service === `=${each.service}`) &&
        (state === "all" || (state === "accepted" ? each.accepted : !each.accepted && (state !== "new" || each.fresh))) &&
        words.every((word) => each.words.includes(word));
      each.row.hidden = !fits;
      shown += fits;
    }
    status.textContent = `${shown} of ${rows.length} findings shown`;
  };

  const sort = (head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const by = key[head.dataset.key];
    rows.sort((one, other) => (down ? by(other, one) : by(one, other)) || one.order - other.order);
    body.append(...rows.map((each) => each.row));
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
    wanted = requestAnimationFrame(filter);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("tr:not([hidden]) details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });

  form.hidden = false;
  filter();
})();
