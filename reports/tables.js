"use strict";
(() => {
  // The state of a page is in its address: #<table id>=<column key>:<ascending or descending>&tab=<tab id>&...
  const address = () => new URLSearchParams(location.hash.slice(1));
  const remember = (changes) => {
    const state = new URLSearchParams([...address()].filter(([, value]) => value));
    for (const [key, value] of Object.entries(changes)) value ? state.set(key, value) : state.delete(key);
    history.replaceState(null, "", `#${state}`);
  };

  // A text that a spreadsheet would take for a formula gets an apostrophe before it.
  const field = (value) => {
    if (typeof value !== "string") return value ?? "";
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const save = (name, format, heads, rows) => {
    const text = format === "csv"
      ? [heads, ...rows].map((row) => row.map(field).join(",") + "\r\n").join("")
      : JSON.stringify(rows.map((row) => Object.fromEntries(heads.map((head, at) => [head, row[at]]))), null, 1);
    const type = format === "csv" ? "text/csv;charset=utf-8" : "application/json";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = `${name}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  globalThis.xlir = { address, remember, save };

  const tables = [...document.querySelectorAll("table[data-sortable]")];
  const heads = (table) => [...table.querySelectorAll("th[data-key]")];
  const opposite = { ascending: "descending", descending: "ascending" };
  const content = (cell) => {
    const number = cell.querySelector("data");
    if (number) return Number(number.value);
    return cell.querySelector(".missing") ? null : (cell.querySelector("bdi") ?? cell).textContent.trim();
  };

  const order = (index, direction) => (a, b) => {
    const sign = direction === "ascending" ? 1 : -1;
    const x = content(a.cells[index]), y = content(b.cells[index]);
    if (x === null || y === null) return (x === null) - (y === null); // what was not measured comes last, either way
    return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
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

  const tabs = document.querySelector("tab-container");
  const restore = () => {
    const wanted = address();
    for (const table of tables) {
      const [, key, direction] = /^(.*):(\w+)$/s.exec(wanted.get(table.id) ?? "") ?? [];
      if (key) sort(table, key, direction);
    }
    const tab = tabs ? [...tabs.querySelectorAll("[role=tab]")].findIndex((one) => one.id === wanted.get("tab")) : -1;
    if (tab >= 0) tabs.selectTab(tab, { focus: false });
    const target = document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };

  for (const table of tables) {
    for (const head of heads(table)) {
      head.querySelector("button").addEventListener("click", () => {
        const first = "ascending" in head.dataset ? "ascending" : "descending";
        const direction = opposite[head.getAttribute("aria-sort")] ?? first;
        sort(table, head.dataset.key, direction);
        remember({ [table.id]: `${head.dataset.key}:${direction}` });
      });
    }
  }
  tabs?.addEventListener("tab-container-changed", (event) => remember({ tab: event.tab.id }));

  // Every table can be taken along as it stands: a column more where a cell has an interval under its value.
  const taken = (table) => {
    const last = [...table.tHead.rows].at(-1);
    const names = [...last.cells].map((head) => head.dataset.full ?? head.textContent.trim());
    const spread = names.map((_, at) => [...table.tBodies[0].rows].some((row) => row.cells[at].querySelector("small.interval")));
    const columns = names.flatMap((name, at) => (spread[at] ? [name, `${name}, 95 % interval`] : [name]));
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].flatMap((cell, at) => {
      const value = content(cell);
      return spread[at] ? [value, cell.querySelector("small.interval")?.textContent ?? null] : [value];
    }));
    return [columns, rows];
  };
  for (const table of document.querySelectorAll("table[data-table]")) {
    const group = document.createElement("p");
    group.className = "downloads";
    for (const format of ["csv", "json"]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = format.toUpperCase();
      button.title = `Download this table as ${format.toUpperCase()}`;
      button.addEventListener("click", () => save(table.dataset.table, format, ...taken(table)));
      group.append(button);
    }
    (table.closest(".box") ?? table).after(group);
  }
  document.addEventListener("clipboard-copy", (event) => {
    const label = event.target.querySelector("span");
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
  addEventListener("hashchange", restore);
  restore();
})();
