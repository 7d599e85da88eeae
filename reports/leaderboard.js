"use strict";
(() => {
  // Which tables are sorted how is kept in the address: #<table id>=<column key>:<ascending or descending>&...
  const tables = [...document.querySelectorAll("table[data-sortable]")];
  const heads = (table) => [...table.querySelectorAll("th[data-key]")];
  const opposite = { ascending: "descending", descending: "ascending" };

  const order = (index, direction) => (a, b) => {
    const sign = direction === "ascending" ? 1 : -1;
    const first = a.cells[index], second = b.cells[index];
    if (index === 0) return sign * first.textContent.localeCompare(second.textContent);
    const x = first.querySelector("data"), y = second.querySelector("data");
    if (!x || !y) return !x - !y; // what was not measured comes last, either way
    return sign * (Number(x.value) - Number(y.value));
  };

  const sort = (table, key, direction) => {
    const index = heads(table).findIndex((head) => head.dataset.key === key);
    if (index < 0 || !(direction in opposite)) return;
    for (const head of heads(table)) head.removeAttribute("aria-sort");
    heads(table)[index].setAttribute("aria-sort", direction);
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(order(index, direction)));
    const full = heads(table)[index].dataset.full;
    table.caption.querySelector("[data-order]").textContent = `, in the order of ${full} (${direction})`;
  };

  const restore = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const table of tables) {
      const [, key, direction] = /^(.*):(\w+)$/s.exec(wanted.get(table.id) ?? "") ?? [];
      if (key) sort(table, key, direction);
    }
  };

  for (const table of tables) {
    for (const head of heads(table)) {
      head.querySelector("button").addEventListener("click", () => {
        const first = "ascending" in head.dataset ? "ascending" : "descending";
        const direction = opposite[head.getAttribute("aria-sort")] ?? first;
        sort(table, head.dataset.key, direction);
        const state = new URLSearchParams([...new URLSearchParams(location.hash.slice(1))].filter(([, v]) => v));
        state.set(table.id, `${head.dataset.key}:${direction}`);
        history.replaceState(null, "", `#${state}`);
      });
    }
  }
  addEventListener("hashchange", restore);
  restore();
})();
