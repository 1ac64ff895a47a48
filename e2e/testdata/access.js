// What keeps a page from who uses it by keyboard, by ear or with weak eyes, one sentence
// each: names, roles, headings, landmarks, order of focus, contrast.
(() => {
  const wrong = [], say = (what, at) => wrong.push(what + ": " + (at.outerHTML || String(at)).replace(/\s+/g, " ").slice(0, 120));
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0;
  const named = (e) => (e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") || "").split(/\s+/).map((id) => document.getElementById(id)?.textContent || "").join("") ||
    [...(e.labels || [])].map((l) => l.textContent).join("") || e.textContent || e.title || "").trim() !== "";

  if (!document.documentElement.lang) say("no language", document.documentElement);
  if (document.title.trim() === "") say("no title", document.head);
  const ids = new Set();
  for (const e of all("[id]")) ids.has(e.id) ? say("an id twice", e) : ids.add(e.id);
  for (const e of all("[aria-labelledby],[aria-describedby],[aria-controls],label[for]"))
    for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"])
      for (const id of (e.getAttribute(name) || "").split(/\s+/).filter(Boolean)) if (!ids.has(id)) say("names nobody, " + id, e);
  for (const e of all("a,button,input,select,textarea,summary,[role=img],[role=region],svg,img,dialog,progress,section"))
    if ((e.getAttribute("aria-hidden") !== "true") && !e.closest("[aria-hidden=true],[role=img] *") && !named(e) && !e.hasAttribute("alt")) say("no name", e);
  for (const e of all("th")) if (!e.scope) say("heading of nothing", e);
  for (const e of all("ul,ol")) for (const c of e.children) if (c.tagName !== "LI") say("no item of its list", c);

  let level = 0;
  for (const h of all("h1,h2,h3,h4,h5,h6").filter(seen)) {
    const now = Number(h.tagName[1]);
    if (now > level + 1) say("a level of headings is left out", h);
    level = now;
  }
  if (all("h1").length !== 1) say("not one h1", document.body);
  for (const [kind, least] of [["main", 1], ["header", 0], ["footer", 0]]) {
    const n = all("body > " + kind).length;
    if (n < least || n > 1) say(n + " of " + kind, document.body);
  }

  const reached = all("a[href],button,input,select,textarea,summary,[tabindex]").filter((e) => seen(e) && !e.disabled);
  for (const e of reached) {
    if (e.tabIndex > 0) say("an order of focus of its own", e);
    if (e.tabIndex === 0 && e.matches("div") && !e.getAttribute("role")) say("takes the focus and has no role", e);
    e.focus();
    if (document.activeElement !== e) say("cannot be reached", e);
  }
  document.activeElement?.blur();
  for (const e of all("*").filter(seen)) {
    const s = getComputedStyle(e);
    const scrolls = (over, inner, outer) => /auto|scroll/.test(over) && inner > outer + 1;
    if ((scrolls(s.overflowX, e.scrollWidth, e.clientWidth) || scrolls(s.overflowY, e.scrollHeight, e.clientHeight)) && e.tabIndex < 0 && e !== document.documentElement) say("scrolls, and not by keyboard", e);
  }

  // Contrast of text, WCAG 2.1: 4.5, or 3 of large text.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    let stack = [];
    for (e = e.closest("svg")?.parentElement || e; e; e = e.parentElement) stack.push(rgba(getComputedStyle(e).backgroundColor));
    return stack.reverse().reduce((below, top) => over(top, below), rgba("Canvas"));
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), told = new Set();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !e || !seen(e) || e.closest("[disabled],noscript,script,style,title,desc")) continue;
    const s = getComputedStyle(e), back = behind(e), fill = e.closest("svg") ? s.fill : s.color;
    const [a, b] = [light(over(rgba(fill), back)), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(s.fontSize);
    const least = size >= 24 || size >= 18.66 && Number(s.fontWeight) >= 700 ? 3 : 4.5;
    const key = e.className + e.tagName + ratio.toFixed(1);
    if (ratio < least && !told.has(key)) told.add(key), say("contrast " + ratio.toFixed(2), e);
  }
  return wrong.join("\n");
})()
