"use strict";
// Traces causes and effects on strategy maps, by mouse and keyboard, and opens objectives to their KPIs.
// A map that is wider than its frame begins where most of its cards can be seen.
function showCards(frame) {
  if (frame.scrollWidth <= frame.clientWidth) return;
  const left = frame.getBoundingClientRect().left - frame.scrollLeft;
  const boxes = [...frame.querySelectorAll("[data-card]")].map((card) => card.getBoundingClientRect());
  const seen = (start) => boxes.filter((box) => box.left - left >= start && box.right - left <= start + frame.clientWidth).length;
  const starts = [0, ...boxes.map((box) => Math.max(0, box.left - left - 12))];
  const best = starts.reduce((found, start) => (seen(start) > seen(found) ? start : found));
  if (seen(best) > 1.5 * seen(0)) frame.scrollLeft = best;
}
document.querySelectorAll(".mapframe").forEach(showCards);
for (const svg of document.querySelectorAll("svg.map")) {
  const cards = [...svg.querySelectorAll("[data-card]")];
  const byNumber = new Map(cards.map((card) => [card.dataset.card, card]));
  const arrows = [...svg.querySelectorAll("[data-from]")].map((element) => ({
    element, from: element.dataset.from, to: element.dataset.to, width: Number(element.querySelector(".line").getAttribute("stroke-width")),
  }));
  const block = svg.closest(".mapblock");
  const line = block.querySelector(".traceline");
  let chosen = null;

  function reached(start, here, there) {
    const found = new Set([start]);
    const waiting = [start];
    while (waiting.length) {
      const at = waiting.pop();
      for (const arrow of arrows) {
        if (arrow[here] === at && !found.has(arrow[there])) { found.add(arrow[there]); waiting.push(arrow[there]); }
      }
    }
    return found;
  }
  function clear() {
    svg.classList.remove("traced");
    for (const element of svg.querySelectorAll(".on, .chosen")) element.classList.remove("on", "chosen");
    for (const card of cards) card.setAttribute("aria-pressed", "false");
    chosen = null;
    line.textContent = "";
  }
  function trace(card) {
    const number = card.dataset.card;
    const again = chosen === number;
    clear();
    if (again) return;
    chosen = number;
    const causes = reached(number, "to", "from");
    const effects = reached(number, "from", "to");
    svg.classList.add("traced");
    card.classList.add("chosen");
    card.setAttribute("aria-pressed", "true");
    for (const at of new Set([...causes, ...effects])) byNumber.get(at).classList.add("on");
    for (const arrow of arrows) {
      const isCause = causes.has(arrow.from) && causes.has(arrow.to);
      const isEffect = effects.has(arrow.from) && effects.has(arrow.to);
      if (isCause || isEffect) arrow.element.classList.add("on");
    }
    line.textContent = `${card.getAttribute("aria-label")} In all, ${causes.size - 1} causes and ${effects.size - 1} effects.`;
    open(card.dataset.id);
  }
  function open(id) {
    for (const part of block.querySelectorAll("[data-opened]")) {
      part.hidden = part.dataset.opened !== id;
      if (!part.hidden) part.querySelectorAll(".mapframe").forEach(showCards);
    }
  }
  function follow(card, key) {
    const [here, there] = key === "ArrowUp" ? ["from", "to"] : ["to", "from"];
    const ways = arrows.filter((arrow) => arrow[here] === card.dataset.card).sort((a, b) => b.width - a.width);
    if (ways.length) byNumber.get(ways[0][there]).focus();
  }
  for (const card of cards) {
    card.addEventListener("click", () => trace(card));
    card.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); trace(card); }
      else if (event.key === "ArrowUp" || event.key === "ArrowDown") { event.preventDefault(); follow(card, event.key); }
      else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        event.preventDefault();
        const at = cards.indexOf(card) + (event.key === "ArrowRight" ? 1 : -1);
        if (cards[at]) cards[at].focus();
      } else if (event.key === "Escape") clear();
    });
  }
  svg.addEventListener("click", (event) => { if (!event.target.closest("[data-card]")) clear(); });
}
for (const button of document.querySelectorAll(".opened .close")) {
  button.addEventListener("click", () => { button.closest(".opened").hidden = true; });
}
