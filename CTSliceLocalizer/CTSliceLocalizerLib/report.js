"use strict";
// Scrolls the scans of a report. All numbers come from the page's own data; nothing is fetched.
const data = JSON.parse(document.getElementById("report-data").textContent);
const [base, follow] = data.scans;
const slider = document.getElementById("slider");
const viewer = document.getElementById("viewer");
const last = base.z.length - 1;
let now = -1;

const mm = (value) => value.toFixed(1).replace("-", "\u2212");
const plusMinus = (value) => (value === null ? "\u00b1 unknown" : "\u00b1 " + value.toFixed(value < 10 ? 1 : 0) + " mm");
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Index of the value nearest to a target; nulls are passed over; -1 if there is none. */
function nearest(values, target) {
  let best = -1;
  values.forEach((value, n) => {
    if (value !== null && (best < 0 || Math.abs(value - target) < Math.abs(values[best] - target))) best = n;
  });
  return best;
}

/** Put a scan's panes at a height, or empty them (z null). */
function show(scan, z) {
  const box = document.getElementById(scan.id);
  const pane = box.querySelector(".axial");
  const image = pane.querySelector("img");
  const covered = z !== null;
  image.hidden = !covered || !scan.axial.length;
  pane.querySelector(".empty").hidden = covered && scan.axial.length > 0;
  pane.dataset.z = covered ? z : "";
  all(".cursor", box).forEach((line) => {
    line.hidden = !covered || z > scan.top || z < scan.bottom;
    line.style.top = (100 * (scan.top - z)) / (scan.top - scan.bottom) + "%";
  });
  all(".gutter button", box).forEach((button) => {
    button.setAttribute("aria-current", covered && Math.abs(button.dataset.z - z) <= scan.step / 2);
  });
  const corner = (name, text) => { pane.querySelector(".corner." + name).textContent = text; };
  if (!covered) {
    pane.dataset.slice = "";
    corner("tl", "");
    corner("bl", "");
    return;
  }
  corner("tl", "z " + mm(z) + " mm");
  if (!scan.axial.length) return;
  const n = nearest(scan.pictureZ, z);
  const k = scan.slices[n];
  pane.dataset.slice = k;
  image.src = "data:image/jpeg;base64," + scan.axial[n];
  image.alt = "Axial slice at " + scan.pictureZ[n].toFixed(1) + " mm";
  const apart = Math.abs(scan.pictureZ[n] - z) > 0.05 ? " (slice at " + mm(scan.pictureZ[n]) + " mm)" : "";
  corner("bl", "index " + scan.index[k] + (scan.files.length ? " \u00b7 " + scan.files[k] : "") + apart);
}

/** Words and number for a height of a scan. */
function place(scan, z) {
  const k = nearest(scan.z, z);
  if (!scan.words.length) return { words: "", numbers: "" };
  return { words: scan.words[k], numbers: "location " + scan.location[k].toFixed(3).replace("-", "\u2212") };
}

/** Scroll to slice k of the baseline (or only) scan. */
function go(k) {
  k = Math.max(0, Math.min(last, k));
  if (k === now) return;
  now = k;
  const z = base.z[k];
  slider.value = last - k;
  show(base, z);
  const here = place(base, z);
  let spoken = "z " + mm(z) + " mm";
  if (here.words) spoken += ", " + here.words + ", " + here.numbers;
  const set = (id, text) => { document.getElementById(id).textContent = text; };
  set("place", here.words || "no location");
  set("baseline-z", "z " + mm(z) + " mm");
  set("baseline-numbers", here.numbers + (base.sigma.length ? " (" + plusMinus(base.sigma[k]) + ")" : ""));
  let other = null;
  if (follow) {
    const pair = data.pairs[k];
    other = pair ? pair[0] : null;
    show(follow, other);
    const text = other === null ? data.empty : "z " + mm(other) + " mm " + plusMinus(pair[1]);
    set("followup-z", text);
    const there = other === null ? { words: "", numbers: "" } : place(follow, other);
    set("followup-place", there.words);
    set("followup-numbers", there.numbers);
    spoken += "; follow-up: " + text;
  }
  slider.setAttribute("aria-valuetext", spoken);
  all(".chart .now").forEach((line) => moveInChart(line, z, other));
}

/** Move a chart's line to the height of the baseline ("x"/"y" axis of data-axis) or of the follow-up. */
function moveInChart(line, z, other) {
  const value = line.dataset.of === "followup" ? other : z;
  line.style.display = value === null ? "none" : "";
  if (value === null) return;
  const [low, high, start, stop] = line.dataset.range.split(" ").map(Number);
  const at = start + ((value - low) / (high - low)) * (stop - start);
  line.setAttribute(line.dataset.axis + "1", at);
  line.setAttribute(line.dataset.axis + "2", at);
}

/** Go to a height of either scan; for the follow-up, to the baseline slice that is matched nearest to it. */
function goTo(scan, z) {
  if (scan === base) return go(nearest(base.z, z));
  const k = nearest(data.pairs.map((pair) => pair[0]), z);
  if (k >= 0) go(k);
}

/** Lay the names of landmarks side by side without overlap: rows above the slider. */
function layTicks() {
  const rows = [];
  all(".tick").forEach((tick) => {
    const box = tick.querySelector("button").getBoundingClientRect();
    let row = rows.findIndex((end) => end + 6 < box.left);
    if (row < 0) row = rows.push(0) - 1;
    rows[row] = box.right;
    tick.style.setProperty("--row", row);
  });
  all(".ticks").forEach((ticks) => ticks.style.setProperty("--tick-rows", Math.max(1, rows.length)));
}

/** Spread the names beside the coronal picture, and lead a line from each to its height. */
function layGutter(gutter) {
  const height = gutter.clientHeight;
  const width = gutter.clientWidth;
  const between = !gutter.closest(".stacked");
  const apart = 17;
  const labels = all("button", gutter).map((button) => ({ button, want: (button.dataset.at / 100) * height }));
  labels.sort((a, b) => a.want - b.want);
  labels.forEach((label, n) => { label.at = Math.max(label.want, n ? labels[n - 1].at + apart : apart / 2); });
  for (let n = labels.length - 1; n >= 0; n--) {
    const limit = n === labels.length - 1 ? height - apart / 2 : labels[n + 1].at - apart;
    labels[n].at = Math.min(labels[n].at, Math.max(limit, 0));
  }
  let path = "";
  labels.forEach(({ button, want, at }) => {
    button.style.top = at + "px";
    path += `M0 ${want}L14 ${at}` + (between ? `M${width} ${want}L${width - 14} ${at}` : "");
  });
  gutter.querySelector("path").setAttribute("d", path);
}

const layOut = () => {
  layTicks();
  all(".gutter").forEach(layGutter);
};

slider.addEventListener("input", () => go(last - Number(slider.value)));

const steps = { ArrowUp: 1, ArrowLeft: 1, ArrowDown: -1, ArrowRight: -1, PageUp: 10, PageDown: -10, Home: 1e9, End: -1e9 };
viewer.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in steps) {
    event.preventDefault();
    go(now + steps[event.key]);
  } else if (event.key in base.keys) {
    event.preventDefault();
    goTo(base, base.keys[event.key]);
  }
});

let turned = 0;
all(".axial, .picture, .slider").forEach((element) => element.addEventListener("wheel", (event) => {
  if (event.ctrlKey) return;
  event.preventDefault();
  turned += event.deltaMode ? event.deltaY * 34 : event.deltaY;
  const count = Math.trunc(turned / 100);
  turned -= count * 100;
  if (count) go(now - count);
}, { passive: false }));

data.scans.forEach((scan) => {
  const box = document.getElementById(scan.id);
  scan.pictureZ = scan.slices.map((k) => scan.z[k]);
  all(".picture", box).forEach((picture) => {
    const jump = (event) => {
      const frame = picture.getBoundingClientRect();
      goTo(scan, scan.top - ((event.clientY - frame.top) / frame.height) * (scan.top - scan.bottom));
    };
    picture.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      picture.setPointerCapture(event.pointerId);
      jump(event);
      slider.focus({ preventScroll: true });
    });
    picture.addEventListener("pointermove", (event) => { if (event.buttons & 1) jump(event); });
  });
});
all("[data-jump]").forEach((button) => button.addEventListener("click", () => {
  goTo(data.scans.find((scan) => scan.id === button.dataset.jump), Number(button.dataset.z));
}));
all("[data-set]").forEach((button) => button.addEventListener("click", () => {
  const name = button.dataset.set;
  all(`[data-set="${name}"]`).forEach((other) => other.setAttribute("aria-pressed", other === button));
  if (name === "window") all(".axial img").forEach((image) => { image.style.filter = `url(#window-${button.value})`; });
  else all(".views").forEach((views) => { views.dataset.mode = button.value; });
}));
new ResizeObserver(layOut).observe(viewer);
go(data.start);
layOut();
slider.focus({ preventScroll: true });
