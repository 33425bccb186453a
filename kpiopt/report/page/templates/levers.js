"use strict";
// Levers: a move times its effect in every draw, added to what the draw has without it; nothing is asked of a server.
(() => {
  const data = JSON.parse(document.getElementById("lever-data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const draws = data.replicates * data.size;
  const margins = data.margins.map((text) => new Float32Array(bytes(text)));
  const vectors = new Int16Array(bytes(data.vectors));
  const bases = data.bases.map((text) => new Float32Array(bytes(text)));
  const moves = data.levers.map(() => 0);
  const block = document.getElementById("levers").closest(".mapblock");
  const svg = block.querySelector("svg.map");
  const place = svg.parentElement;
  const arrows = [...svg.querySelectorAll("[data-from]")];
  const cards = [...svg.querySelectorAll("[data-card]")];
  const inputs = data.levers.map(() => []);
  const plan = hits(() => 0);

  // A curve or a bound: what it makes of what reaches it.
  function bent(bend, x) {
    const points = bend.points, last = points.length - 1;
    if (x <= points[0][0]) return points[0][1] + bend.first * (x - points[0][0]);
    for (let i = 0; i < last; i++) if (x <= points[i + 1][0]) {
      const [[a, b], [c, d]] = [points[i], points[i + 1]];
      return b + ((d - b) * (x - a)) / (c - a);
    }
    return points[last][1] + bend.last * (x - points[last][0]);
  }
  // What leaves each curve and bound differs by so much from the plan, draw by draw; null where nothing does.
  function leaves(moveOf) {
    const reached = data.bends.map(() => null);
    const add = (to, vector, factor, times) => {
      const sum = (reached[to] ||= new Float64Array(draws)), start = vector * draws;
      for (let d = 0; d < draws; d++) sum[d] += factor * (vector < 0 ? 1 : vectors[start + d]) * times(d);
    };
    data.levers.forEach((lever, i) => { const move = moveOf(i); if (move) for (const [to, vector, factor] of lever.bends) add(to, vector, factor, () => move); });
    return data.bends.map((bend, b) => {
      if (!reached[b]) return null;
      const change = reached[b].map((more, d) => bent(bend, bases[b][d] + more) - bent(bend, bases[b][d]));
      for (const [to, vector, factor] of bend.bends) add(to, vector, factor, (d) => change[d]);
      return change;
    });
  }
  function hits(moveOf) {
    const result = [], left = leaves(moveOf);
    for (let g = 0; g < margins.length; g++) {
      const value = Float64Array.from(margins[g]);
      data.levers.forEach((lever, i) => {
        const move = moveOf(i);
        if (!move) return;
        for (const [goal, vector, factor] of lever.goals) {
          if (goal !== g) continue;
          const start = vector * draws;
          for (let d = 0; d < draws; d++) value[d] += move * factor * (vector < 0 ? 1 : vectors[start + d]);
        }
      });
      left.forEach((change, b) => {
        if (change) for (const [goal, vector, factor] of data.bends[b].goals) {
          if (goal === g) for (let d = 0; d < draws; d++) value[d] += change[d] * factor * (vector < 0 ? 1 : vectors[vector * draws + d]);
        }
      });
      result.push(Uint8Array.from(value, (v) => (v >= 0 ? 1 : 0)));
    }
    return [...result, result[0].map((_, d) => (result.every((r) => r[d]) ? 1 : 0))];
  }
  const count = (list) => list.reduce((a, b) => a + b, 0);

  // The interval of a paired difference, as kpiopt.simulation.odds has it.
  function difference(first, second) {
    const sums = new Array(data.replicates).fill(0);
    let changed = 0, gained = 0;
    for (let d = 0; d < draws; d++) {
      const change = second[d] - first[d];
      sums[Math.floor(d / data.size)] += change;
      changed += change !== 0;
      gained += change > 0;
    }
    const mean = count(sums) / draws;
    if (data.replicates > 1 && changed >= data.few) {
      const n = data.replicates, middle = count(sums) / n;
      const squares = sums.reduce((a, s) => a + (s - middle) ** 2, 0) + data.grid;
      const half = (data.student * Math.sqrt(squares / (n - 1) / n)) / data.size;
      return [mean, Math.max(-1, mean - half), Math.min(1, mean + half)];
    }
    if (changed >= data.few) {
      const half = 1.959963984540054 * Math.sqrt(Math.max(changed / draws - mean * mean, 0) / draws);
      return [mean, Math.max(-1, mean - half), Math.min(1, mean + half)];
    }
    const [least, most] = binomial(changed, draws);
    const [low, high] = changed ? binomial(gained, changed) : [0, 1];
    const lows = [(2 * low - 1) * least, (2 * low - 1) * most], highs = [(2 * high - 1) * least, (2 * high - 1) * most];
    return [mean, Math.min(...lows), Math.max(...highs)];
  }
  // Clopper and Pearson at 97.5 %, by bisection of the binomial tails.
  function binomial(k, n) {
    const tail = (1 - 0.975) / 2;
    const solve = (wanted, below) => {
      let low = 0, high = 1;
      for (let i = 0; i < 60; i++) {
        const p = (low + high) / 2;
        if (wanted(p) === below) low = p; else high = p;
      }
      return (low + high) / 2;
    };
    const logs = [0];
    for (let i = 1; i <= n; i++) logs.push(logs[i - 1] + Math.log(i));
    const atMost = (m, p) => {
      let sum = 0;
      for (let i = 0; i <= m; i++) sum += Math.exp(logs[n] - logs[i] - logs[n - i] + i * Math.log(p) + (n - i) * Math.log1p(-p));
      return sum;
    };
    return [k > 0 ? solve((p) => 1 - atMost(k - 1, p) < tail, true) : 0, k < n ? solve((p) => atMost(k, p) > tail, true) : 1];
  }

  const number = (value, digits) => (Number(value.toFixed(digits)) < 0 ? "\u2212" : "") + Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const signed = (value, digits) => (value > 0 ? "+" : "") + number(value, digits);
  const plain = (value) => { const text = number(value, digitsOf(value)); return text.includes(".") ? text.replace(/\.?0+$/, "") : text; };
  const digitsOf = (value) => Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(Math.abs(value) || 1))));
  // No draw, or all of them: the end of the exact interval, as the tiles have it.
  const end = 100 * (1 - 0.025 ** (1 / draws)), endDigits = 1 - Math.floor(Math.log10(end) + 1e-9);
  const atMost = Math.ceil(end * 10 ** endDigits - 1e-9) / 10 ** endDigits;
  const share = (k) => (k === 0 ? `less than ${number(atMost, endDigits)} %` : k === draws ? `more than ${number(100 - atMost, endDigits)} %` : `${number((100 * k) / draws, rare(k) < 0.001 ? 3 : rare(k) < 0.01 ? 2 : 1)} %`);

  const rare = (k) => Math.min(k, draws - k) / draws;

  function show() {
    const after = hits((i) => moves[i]);
    const rows = document.querySelector("#lever-odds tbody");
    rows.replaceChildren();
    [...data.goals, "all goals together"].forEach((name, g) => {
      if (g === data.goals.length && g < 2) return;
      const [mean, low, high] = difference(plan[g], after[g]);
      const row = rows.insertRow();
      row.dataset.goal = String(g);
      row.dataset.before = String(count(plan[g]));
      row.dataset.after = String(count(after[g]));
      row.dataset.difference = `${mean} ${low} ${high}`;
      const said = moves.some((m) => m) ? `${signed(100 * mean, 1)} (${signed(100 * low, 1)} to ${signed(100 * high, 1)})` : "";
      [name, share(count(plan[g])), share(count(after[g])), said].forEach((text, i) => {
        const cell = row.insertCell();
        cell.textContent = text;
        cell.dataset.name = ["goal", "before", "after", "difference"][i];
        if (!i) cell.className = "text";
      });
    });
    const over = beyond();
    showChanges(over);
    showUses();
    const moved = data.levers.filter((_, i) => moves[i]), state = document.getElementById("lever-state");
    state.textContent = moved.length ? `${moved.length} moved` : "nothing is moved";
    if (over.said.length) {
      const warning = document.createElement("strong");
      warning.className = "bad";
      warning.textContent = `; beyond: ${over.said.slice(0, 3).join("; ")}${over.said.length > 3 ? `; and ${over.said.length - 3} more` : ""}`;
      state.append(warning);
    }
    document.getElementById("lever-uses").closest("details").hidden = !moved.length;
  }
  // Limits and ranges that the moves go beyond, and the cards whose levers do.
  function beyond() {
    const over = new Set(), said = [], marked = new Map();
    for (const [n, change] of total("uses")) {
      const [name, limit, used] = data.limits[n];
      if (change > 0 && used + change > limit * (1 + 1e-9)) { over.add(n); said.push(`${name}, ${number(used + change, 0)} of ${number(limit, 0)}`); }
    }
    let outside = 0;
    data.levers.forEach((lever, i) => {
      if (!moves[i]) return;
      if (lever.uses.some(([n, rate]) => over.has(n) && rate * moves[i] > 0)) marked.set(lever.card, "beyond a limit");
      if (isOutside(lever, moves[i]) || tooMuch(i)) { outside += 1; marked.set(lever.card, marked.get(lever.card) || "beyond its range"); }
    });
    if (outside) said.push(outside === 1 ? "the range of 1 lever" : `the ranges of ${outside} levers`);
    return { said, marked };
  }
  const isOutside = (lever, value) => value > lever.most + 1e-9 * (1 + Math.abs(lever.most)) || value < lever.least - 1e-9 * (1 + Math.abs(lever.least));
  function total(key) {
    const sums = new Map();
    data.levers.forEach((lever, i) => { if (moves[i]) for (const [n, rate] of lever[key]) sums.set(n, (sums.get(n) || 0) + moves[i] * rate); });
    if (key !== "uses") leaves((i) => moves[i]).forEach((change, b) => {
      if (change) for (const [n, vector, factor] of data.bends[b][key]) {
        let sum = 0;
        for (let d = 0; d < draws; d++) sum += change[d] * (vector < 0 ? 1 : vectors[vector * draws + d]);
        sums.set(n, (sums.get(n) || 0) + (sum * factor) / draws);
      }
    });
    return sums;
  }
  function badge(card, text, change, mark) {
    const badge = document.createElement("span");
    badge.className = mark ? "badge beyond" : "badge";
    badge.dataset.badge = cards[card].dataset.id;
    badge.dataset.change = String(change);
    badge.textContent = mark ? `${text}, ${mark}` : text;
    set(badge, cards[card], 0);
    place.append(badge);
  }
  function showChanges({ marked }) {
    for (const old of place.querySelectorAll(".badge")) old.remove();
    for (const arrow of arrows) { arrow.classList.remove("flow"); delete arrow.dataset.change; }
    for (const [n, change] of total("nodes")) {
      if (Math.abs(change) < 1e-12) continue;
      const [unit, decimals] = data.cards[n];
      badge(n, `${signed(change, Math.max(decimals ?? 0, digitsOf(change)))} ${unit}`.trim(), change, marked.get(n));
    }
    for (const [card, , input, indices] of placed) if (data.levers[indices[0]].where) {
      const said = ofAll(indices), sum = indices.reduce((a, i) => a + moves[i], 0);
      input.value = tidy(indices.reduce((a, i) => a + level(i), 0) / indices.length);
      input.setAttribute("aria-valuetext", said);
      if (indices.some((i) => moves[i])) badge(card, said, sum, marked.get(card));
    }
    const list = document.getElementById("lever-arrows");
    list.replaceChildren();
    const flows = [...total("arrows")].filter(([, change]) => Math.abs(change) > 1e-12);
    for (const [n, change] of flows) {
      arrows[n].classList.add("flow");
      arrows[n].dataset.change = String(change);
      const [[, , from], [unit, , to]] = [arrows[n].dataset.from, arrows[n].dataset.to].map((card) => data.cards[Number(card)]);
      const item = document.createElement("li");
      item.textContent = `${from} \u2192 ${to}: ${signed(change, digitsOf(change))} ${unit}`.trim();
      list.append(item);
    }
    svg.classList.toggle("flowing", flows.length > 0);
  }
  const level = (i) => data.levers[i].level + moves[i];
  // What units have of an initiative: the level that all have, with who was raised and who lowered, or their sum.
  function ofAll(indices) {
    const levels = indices.map(level), n = indices.length, sum = levels.reduce((a, b) => a + b, 0);
    const most = indices.reduce((a, i) => a + data.levers[i].level + data.levers[i].most, 0);
    if (n === 1) return `level ${plain(sum)} of ${plain(most)}`;
    if (Math.max(...levels) - Math.min(...levels) > 1e-9) return `${plain(sum)} of ${plain(most)} at ${n} units`;
    const up = indices.filter((i) => moves[i] > 0).length, down = indices.filter((i) => moves[i] < 0).length;
    return `all ${n} at ${plain(levels[0])}${up && down ? ` (${up} raised, ${down} lowered)` : ""}`;
  }
  function showUses() {
    const list = document.getElementById("lever-uses");
    list.replaceChildren();
    const excess = ([n, change]) => (data.limits[n][2] + change) / (data.limits[n][1] || 1e-300);
    for (const [n, change] of [...total("uses")].sort((a, b) => excess(b) - excess(a))) {
      const [name, limit, used] = data.limits[n];
      const beyond = used + change > limit * (1 + 1e-9);
      const item = document.createElement("li");
      item.className = beyond ? "bad" : "";
      item.textContent = `${name}: ${signed(change, digitsOf(change))}, ${number(used + change, 0)} of ${number(limit, 0)}${beyond ? ": beyond the limit" : ""}`;
      list.append(item);
    }
  }
  function set(element, card, fromBottom) {
    const box = card.querySelector(".box"), view = svg.viewBox.baseVal;
    const [x, y, w, h] = ["x", "y", "width", "height"].map((key) => Number(box.getAttribute(key)));
    element.style.left = `${(100 * (fromBottom ? x + 6 : x + w)) / view.width}%`;
    element.style.width = fromBottom ? `${(100 * (w - 12)) / view.width}%` : "max-content";
    element.style.top = `${(100 * (fromBottom ? y + h - fromBottom : y)) / view.height}%`;
  }
  const periods = data.periods || [];
  const when = (lever) => (lever.period >= 0 ? (lever.where ? `, begun in ${periods[lever.period]}` : ` in ${periods[lever.period]}`) : "");
  const group = (lever) => (lever.where && periods.length ? data.levers.map((l, i) => i).filter((i) => data.levers[i].card === lever.card && data.levers[i].where === lever.where) : []);
  const groups = data.levers.map(group);
  function move(i, value) {
    moves[i] = Math.abs(value) < 1e-9 * (1 + Math.abs(data.levers[i].level)) ? 0 : value;
    for (const j of groups[i].length ? groups[i] : [i]) for (const [input, text] of inputs[j]) { input.value = tidy(origin(data.levers[j]) + moves[j]); text(moves[j]); }
  }
  // All that is begun of an initiative at a unit, in whatever period, is at most its largest level.
  const tooMuch = (i) => groups[i].length > 1 && groups[i].reduce((a, j) => a + data.levers[j].level + moves[j], 0) > data.levers[i].level + data.levers[i].most + 1e-6;
  // An initiative with levels of its own stands on one of them.
  const nearest = (lever, level) => (lever.levels || [level]).reduce((a, b) => (Math.abs(b - level) < Math.abs(a - level) ? b : a));
  const onLevel = (i, value) => nearest(data.levers[i], value) - origin(data.levers[i]);
  // A lever stands at an initiative's level, or at the move of a KPI.
  const origin = (lever) => (lever.where ? lever.level : 0);
  const tidy = (value) => String(Number(value.toPrecision(12)));
  function byKeys(input, lever) {
    if (lever.levels) input.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const at = lever.levels.indexOf(nearest(lever, Number(input.value))) + by;
      input.value = String(lever.levels[Math.max(0, Math.min(lever.levels.length - 1, at))]);
      input.dispatchEvent(new Event("input"));
    });
  }
  function slider(lever, indices, label) {
    const input = document.createElement("input");
    input.type = "range";
    [input.min, input.max, input.step] = lever.slide.map(String);
    if (lever.levels) input.step = "any";
    input.value = tidy(origin(lever));
    input.setAttribute("aria-label", label);
    input.addEventListener("input", () => { for (const i of indices) move(i, onLevel(i, Number(input.value))); show(); });
    return input;
  }
  const list = document.getElementById("lever-list");
  data.levers.forEach((lever, i) => {
    const label = (lever.where ? `${lever.title} at ${lever.where}` : lever.title) + when(lever);
    const row = document.createElement("div");
    row.className = "leverrow";
    const [name, output, field] = ["span", "output", "input"].map((tag) => document.createElement(tag));
    name.textContent = label;
    const text = (value) => {
      const said = lever.where ? `level ${plain(lever.level + value)} of ${plain(lever.slide[1])}${value ? `, ${signed(value, digitsOf(value))}` : ""}` : `${value ? signed(value, digitsOf(value)) : "0"} ${lever.unit}`;
      output.textContent = said + (isOutside(lever, value) || tooMuch(i) ? ", beyond its range" : "");
      input.setAttribute("aria-valuetext", output.textContent);
      field.value = tidy(origin(lever) + value);
    };
    const input = slider(lever, [i], label);
    input.dataset.lever = lever.name;
    byKeys(input, lever);
    field.type = "number";
    [field.min, field.max, field.step] = [input.min, input.max, "any"];
    field.setAttribute("aria-label", `${label}, as a number`);
    field.addEventListener("change", () => {
      move(i, onLevel(i, Math.max(lever.slide[0], Math.min(lever.slide[1], Number(field.value)))));
      show();
    });
    row.append(name, input, field, output);
    list.append(row);
    inputs[i].push([input, text]);
    text(0);
  });
  const byCard = new Map();
  data.levers.forEach((lever, i) => {
    const key = `${lever.card} ${lever.period ?? -1}`;
    byCard.set(key, [...(byCard.get(key) || []), i]);
  });
  const placed = [];
  for (const indices of byCard.values()) {
    const levers = indices.map((i) => data.levers[i]), card = levers[0].card;
    const widest = { ...levers[0], least: Math.min(...levers.map((l) => l.least)), most: Math.max(...levers.map((l) => l.most)) };
    const isInitiative = Boolean(levers[0].where);
    const input = slider(widest, indices, `${levers[0].title}${isInitiative ? ", all units" : ""}${when(levers[0])}`);
    if (isInitiative) {  // one level for all units: each moves by what it is away from it
      input.addEventListener("input", () => { const level = nearest(levers[0], Number(input.value)); indices.forEach((i) => move(i, level - data.levers[i].level)); show(); });
      byKeys(input, levers[0]);
    } else inputs[indices[0]].push([input, (value) => input.setAttribute("aria-valuetext", `${signed(value, digitsOf(value))} ${levers[0].unit}${isOutside(levers[0], value) ? ", beyond its range" : ""}`)]);
    input.className = "onmap";
    input.dataset.onmap = cards[card].dataset.id;
    if (periods.length) input.dataset.period = String(levers[0].period);
    set(input, cards[card], 22);
    place.append(input);
    placed.push([card, levers[0].period ?? -1, input, indices]);
  }
  // With periods a card has a lever for each: that of the chosen one is shown, of what has none for it the first.
  function choose(period) {
    const first = new Map();
    for (const [card, at] of placed) if (!first.has(card) || at < first.get(card)) first.set(card, at);
    const has = (card) => placed.some(([c, at]) => c === card && at === period);
    for (const [card, at, input] of placed) input.hidden = at !== (has(card) ? period : first.get(card)) || (period >= 0 && !has(card));
  }
  if (periods.length) {
    const label = document.createElement("label"), select = document.createElement("select");
    select.id = "lever-when";
    [["-1", "in all periods"], ...periods.map((name, i) => [String(i), `in ${name}`])].forEach(([value, text]) => select.add(new Option(text, value)));
    select.addEventListener("change", () => choose(Number(select.value)));
    label.append("Levers on the map act ", select);
    document.getElementById("lever-reset").after(" ", label);
  }
  choose(-1);
  document.getElementById("lever-reset").addEventListener("click", () => { moves.forEach((_, i) => move(i, 0)); show(); });
  show();
})();
