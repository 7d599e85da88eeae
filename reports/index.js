"use strict";
(() => {
  const payload = document.getElementById("payload");
  const board = document.querySelector(".board");
  if (!board) return;
  const { encoders, suites, languages } = JSON.parse(payload.textContent);
  const { address, remember, save } = globalThis.xlir;
  const MISSING = "–", SIZES = [["0-1e8", "under 100 M"], ["1e8-5e8", "100 M to 500 M"], ["5e8-2e9", "500 M to 2 B"], ["2e9-1e99", "over 2 B"], ["unknown", "not stated"]];
  const $ = (id) => document.getElementById(id);
  const controls = { suite: $("f-suite"), q: $("f-q"), language: $("f-language"), setting: $("f-setting"), origin: $("f-origin"), size: $("f-size"), licence: $("f-licence"), zero: $("f-zero") };
  const table = $("board");
  const make = (tag, text, properties = {}) => Object.assign(document.createElement(tag), { textContent: text ?? "", ...properties });
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

  const column = ([key, label, note, full, group, ascending, places, primary], at) => ({
    key, label, note, full, group, ascending, places, primary,
    value: (row) => row[2][at],
    interval: (row) => row[3][at],
  });
  const of = (suite, key) => suite.columns.findIndex((one) => one[0] === key);
  const field = (suite, row, key) => { const at = of(suite, key); return at < 0 ? null : row[2][at]; };

  const titled = (suite) => `${suite.name}, ${suite.edition}`;
  const state = {};
  const suiteOf = () => suites.find((suite) => suite.id === state.suite) ?? suites[0];

  // Which columns there are: all, or of one setting; for some languages only the primary measures have figures.
  const columnsOf = (suite) => {
    const all = suite.columns.map(column).filter((one) => !state.setting || one.group === state.setting || ["encoder", "language bias"].includes(one.group));
    const codes = chosen(suite);
    if (!codes) return all;
    return all.filter((one) => one.group === "encoder" || suite.by.values[one.key]).map((one) => {
      const values = suite.by.values[one.key];
      if (!values) return one;
      const positions = codes.map((code) => suite.by.languages.indexOf(code));
      const value = (row) => {
        const found = positions.map((at) => values[suite.rows.indexOf(row)][at]).filter((v) => v !== null);
        return found.length === positions.length ? found.reduce((sum, v) => sum + v, 0) / found.length : null;
      };
      const cache = new Map(suite.rows.map((row) => [row, value(row)]));
      return { ...one, note: `queries: ${label(state.language)}`, full: `${one.full}, queries in ${label(state.language)}`, value: (row) => cache.get(row), interval: () => undefined };
    });
  };
  const label = (wanted) => wanted.startsWith("family:") ? wanted.slice(7) : languages[wanted]?.[0] ?? wanted;
  const chosen = (suite) => {
    const wanted = state.language;
    if (!wanted) return null;
    const codes = wanted.startsWith("family:") ? suite.by.languages.filter((code) => languages[code][1] === wanted.slice(7)) : suite.by.languages.filter((code) => code === wanted);
    return codes.length ? codes : null;
  };

  const fits = (suite, row) => {
    const [title, subtitle] = encoders[row[0]];
    const name = `${title} ${subtitle}`.toLowerCase();
    if (!state.q.toLowerCase().split(/\s+/).every((part) => name.includes(part))) return false;
    if (state.origin && field(suite, row, "origin") !== state.origin) return false;
    if (state.licence && (field(suite, row, "licence") ?? "not stated") !== state.licence) return false;
    if (state.zero && field(suite, row, "zero_shot") !== state.zero) return false;
    if (state.size) {
      const parameters = field(suite, row, "parameters");
      if (state.size === "unknown") return parameters === null;
      const [low, high] = state.size.split("-").map(Number);
      return parameters !== null && low <= parameters && parameters < high;
    }
    return true;
  };

  const text = (value, places) => {
    if (value === null || value === undefined) return MISSING;
    if (typeof value === "string") return value;
    if (places === -2) {
      const [unit, size] = [["B", 1e9], ["M", 1e6], ["k", 1e3], ["", 1]].find(([, least]) => value >= least) ?? ["", 1];
      const scaled = value / size;
      return unit ? `${Number(scaled.toPrecision(scaled >= 100 ? Math.ceil(Math.log10(scaled + 1)) : 3))} ${unit}` : String(Math.round(value));
    }
    return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
  };

  const span = (interval, places) => {
    const ends = interval.map((end) => text(end, Math.max(places - 1, 0)).replace(/^(-?)0\./, "$1."));
    return ends.join(ends.some((end) => end.startsWith("-")) ? " to " : "–");
  };

  const sorting = (suite, columns) => {
    const [, key, direction] = /^(.*):(ascending|descending)$/s.exec(state.sort ?? "") ?? [];
    const wanted = columns.find((one) => one.key === key);
    if (key === "name") return { key, direction };
    if (wanted) return { key, direction, column: wanted };
    const leading = suite.order === null ? undefined : suite.columns[suite.order][0];
    const first = columns.find((one) => one.key === leading) ?? columns.find((one) => one.primary);
    return first ? { key: first.key, direction: first.ascending ? "ascending" : "descending", column: first } : { key: "name", direction: "ascending" };
  };

  const shown = (suite, columns, sorted) => {
    const sign = sorted.direction === "ascending" ? 1 : -1;
    const byName = (a, b) => encoders[a[0]][0].localeCompare(encoders[b[0]][0]);
    return suite.rows.filter((row) => fits(suite, row)).sort((a, b) => {
      if (!sorted.column) return sign * byName(a, b);
      const x = sorted.column.value(a), y = sorted.column.value(b);
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
    });
  };

  let drawn = "";
  let current = { columns: [], rows: [] };
  const draw = () => {
    const suite = suiteOf();
    const columns = columnsOf(suite);
    const sorted = sorting(suite, columns);
    const rows = shown(suite, columns, sorted);
    current = { suite, columns, rows };
    const signature = JSON.stringify([suite.id, columns.map((one) => [one.key, one.note])]);
    if (signature !== drawn) head(suite, columns);
    drawn = signature;
    for (const th of table.tHead.querySelectorAll("th[data-key]")) {
      if (th.dataset.key === sorted.key) th.setAttribute("aria-sort", sorted.direction);
      else th.removeAttribute("aria-sort");
    }
    body(suite, columns, rows);
    table.caption.textContent = `${titled(suite)}, in the order of ${sorted.column?.full ?? "name"} (${sorted.direction})`;
    $("count").textContent = `${plural(rows.length, "encoder")}${rows.length === suite.rows.length ? "" : ` of ${suite.rows.length}`}`;
    $("suite-link").href = `pages/${suite.page}`;
    $("suite-link").textContent = `Maps and charts of ${suite.name}`;
  };

  const opens = (columns, at) => at === 0 || columns[at].group !== columns[at - 1].group;
  const head = (suite, columns) => {
    const groups = make("tr"), names = make("tr");
    groups.append(make("td"));
    columns.forEach((one, at) => {
      if (!opens(columns, at)) return;
      const span = columns.filter((other) => other.group === one.group).length;
      const group = make("th", "", { className: "group", scope: "colgroup", colSpan: span });
      const inner = make("span");
      const note = suite.groups.find(([title]) => title === one.group)?.[1] ?? "";
      inner.append(make("bdi", one.group), " ", make("small", note));
      group.append(inner);
      groups.append(group);
    });
    const name = make("th", "", { className: "name", scope: "col" });
    name.dataset.key = "name";
    name.append(button("Encoder", "name", true));
    names.append(name);
    columns.forEach((one, at) => {
      const th = make("th", "", { scope: "col", className: opens(columns, at) ? "opens" : "" });
      th.dataset.key = one.key;
      if (one.note) th.append(make("small", one.note));
      th.append(button(one.label, one.key, one.ascending || one.places === -1));
      names.append(th);
    });
    table.tHead.replaceChildren(groups, names);
  };
  const button = (label, key, ascending) => {
    const made = make("button", label, { type: "button" });
    made.addEventListener("click", () => {
      const now = made.closest("th").getAttribute("aria-sort");
      const direction = now ? (now === "ascending" ? "descending" : "ascending") : ascending ? "ascending" : "descending";
      state.sort = `${key}:${direction}`;
      keep();
      draw();
    });
    return made;
  };

  const body = (suite, columns, rows) => {
    const best = columns.map((one) => {
      if (one.places === -1 || ["encoder", "language bias"].includes(one.group) || one.key.endsWith("/rank")) return null;
      const values = rows.map(one.value).filter((v) => v !== null).map((v) => Number(v.toFixed(one.places)));
      return values.length > 1 ? values.reduce((a, b) => (one.ascending ? Math.min(a, b) : Math.max(a, b))) : null;
    });
    const made = document.createDocumentFragment();
    for (const row of rows) {
      const [title, subtitle, page] = encoders[row[0]];
      const tr = make("tr"), name = make("th", "", { scope: "row", className: "name" });
      const link = make("a", "", { href: `pages/${page}#${suite.id}` });
      link.append(make("bdi", title));
      name.append(link);
      for (const small of [subtitle, row[1]]) if (small) name.append(make("small", small));
      tr.append(name);
      columns.forEach((one, at) => {
        const value = one.value(row), td = make("td", "", { className: opens(columns, at) ? "opens" : "" });
        if (value === null || value === undefined) td.append(make("span", MISSING, { className: "missing" }));
        else if (typeof value === "string") td.append(make("bdi", value));
        else {
          const data = make("data", text(value, one.places), { value });
          const wins = best[at] !== null && Number(value.toFixed(one.places)) === best[at];
          td.append(wins ? Object.assign(make("strong"), {}) : data);
          if (wins) td.firstChild.append(data);
        }
        const interval = one.interval(row);
        if (interval) td.append(make("small", span(interval, one.places), { className: "interval" }));
        tr.append(td);
      });
      made.append(tr);
    }
    if (!rows.length) {
      const td = make("td", "No encoder fits the filters.", { className: "none", colSpan: columns.length + 1 });
      const tr = make("tr");
      tr.append(td);
      made.append(tr);
    }
    table.tBodies[0].replaceChildren(made);
  };

  const options = (select, list) => {
    const parts = [];
    for (const [value, label, group] of list) {
      const option = make("option", label, { value });
      if (!group) { parts.push(option); continue; }
      let owner = parts.find((one) => one.label === group && one.tagName === "OPTGROUP");
      if (!owner) { owner = make("optgroup", "", { label: group }); parts.push(owner); }
      owner.append(option);
    }
    select.replaceChildren(...parts);
  };
  const distinct = (values) => [...new Set(values)].sort((a, b) => a.localeCompare(b));

  // What can be chosen depends on the suite; a choice that it does not have falls back to "any".
  const offer = () => {
    const suite = suiteOf();
    const codes = suite.by.languages;
    const families = distinct(codes.map((code) => languages[code][1]));
    options(controls.language, [["", "any language"], ...(families.length > 1 ? families.map((one) => [`family:${one}`, one, "Families"]) : []), ...codes.map((code) => [code, `${languages[code][0]} (${code})`, "Languages"])]);
    const settings = suite.groups.map(([title]) => title).filter((title) => !["encoder", "language bias"].includes(title));
    options(controls.setting, [["", "all"], ...(settings.length > 1 ? settings.map((one) => [one, one]) : [])]);
    const origins = distinct(suite.rows.map((row) => field(suite, row, "origin")));
    options(controls.origin, [["", "any"], ...origins.map((one) => [one, one])]);
    options(controls.size, [["", "any"], ...SIZES]);
    const licences = distinct(suite.rows.map((row) => field(suite, row, "licence") ?? "not stated"));
    options(controls.licence, [["", "any"], ...licences.map((one) => [one, one])]);
    const declared = distinct(suite.rows.map((row) => field(suite, row, "zero_shot")));
    options(controls.zero, [["", "any"], ...declared.map((one) => [one, one])]);
    for (const [key, control] of Object.entries(controls)) {
      control.value = state[key];
      if (control.tagName === "SELECT" && control.selectedIndex < 0) { state[key] = key === "suite" ? suite.id : ""; control.value = state[key]; }
    }
  };

  const keep = () => remember({ ...state, suite: state.suite === suites[0].id ? "" : state.suite });
  const restore = () => {
    const wanted = address();
    for (const key of [...Object.keys(controls), "sort"]) state[key] = wanted.get(key) ?? "";
    state.suite = suites.some((suite) => suite.id === state.suite) ? state.suite : suites[0].id;
    offer();
    draw();
  };

  options(controls.suite, suites.map((suite) => [suite.id, `${titled(suite)} (${suite.rows.length})`, suite.stale ? "Older revisions of the data" : suite.published ? "Published elsewhere" : "Measured here"]));
  for (const [key, control] of Object.entries(controls)) {
    control.addEventListener(key === "q" ? "input" : "change", () => {
      state[key] = control.value;
      if (key === "suite") { state.sort = ""; offer(); }
      keep();
      draw();
    });
  }
  board.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  board.querySelector("form").addEventListener("reset", (event) => {
    event.preventDefault();
    for (const key of Object.keys(controls)) if (key !== "suite") state[key] = "";
    state.sort = "";
    offer();
    keep();
    draw();
  });
  const taken = () => {
    const { columns, rows } = current;
    const spread = columns.map((one) => rows.some((row) => one.interval(row)));
    const heads = ["encoder", "distinguished by", ...columns.flatMap((one, at) => (spread[at] ? [one.full, `${one.full}, low`, `${one.full}, high`] : [one.full]))];
    const lines = rows.map((row) => [encoders[row[0]][0], encoders[row[0]][1] || null, ...columns.flatMap((one, at) => {
      const value = one.value(row) ?? null;
      return spread[at] ? [value, ...(one.interval(row) ?? [null, null])] : [value];
    })]);
    return [heads, lines];
  };
  for (const format of ["csv", "json"]) $(format).addEventListener("click", () => save(current.suite.id, format, ...taken()));
  board.hidden = false;
  addEventListener("hashchange", restore);
  restore();
})();
