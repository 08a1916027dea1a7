// The page Map: which images are chosen, by lasso, box, colour or cross-hair, and what is told of them.
import { about, colouring, load } from "./map_points.js";
import { View } from "./map_view.js";

const SENT = 2000; // tasks that a form carries, those without an answer first
const FEW = 12; // pictures of those chosen that are shown beside the map
const STEP = [12, 60]; // pixels that an arrow key moves the cross-hair, and with Shift
const RADII = [10, 20, 40, 80, 160]; // pixels
const get = (id) => document.getElementById(id);
const [plot, cross, circle, card, form] = ["plot", "cross", "circle", "card", "chosen"].map(get);
const most = Number(plot.dataset.most);
const chosen = new Set();
let points, view, colours;

async function begin() {
  points = await load(plot.dataset.points);
  colours = colouring(points, get("colour").value);
  view = new View(plot, points);
  await view.draw(colours);
  await view.mode(document.querySelector("[name=mode]:checked").value);
  legend();
  listen();
  cross.dispatchEvent(new Event("place"));
  plot.dataset.drawn = points.images;
}

// Show and send what is chosen now.
function show() {
  const images = [...chosen];
  view.mark(images.length ? images : null);
  const [open, answered] = [1, 0].map((value) => images.filter((image) => points.open[image] === value));
  form.elements.tasks.value = [...open, ...answered].slice(0, SENT).map((image) => points.tasks[image]).join(",");
  const some = answered.length ? `, ${answered.length} of them with an answer` : "";
  const many = open.length > most ? ` The head of the queue takes ${most} at most.` : "";
  get("count").textContent = images.length ? `${images.length} image${images.length === 1 ? " is" : "s are"} chosen${some}.${many}` : "No image is chosen.";
  for (const button of form.querySelectorAll("button")) button.disabled = !images.length;
  form.querySelector("[value=send]").disabled = !open.length || open.length > most;
  get("few").replaceChildren(...images.slice(0, FEW).map((image) => {
    const picture = new Image();
    [picture.loading, picture.alt, picture.src] = ["lazy", `Task ${points.tasks[image]}`, plot.dataset.images + points.tasks[image]];
    return picture;
  }));
}

function choose(images, instead = false) {
  if (instead) chosen.clear();
  for (const image of images) chosen.add(image);
  show();
}

function giveBack(images) {
  for (const image of images) chosen.delete(image);
  show();
}

function legend() {
  get("legend").replaceChildren(...colours.kinds.map(({ name, colour, count }, number) => {
    const [entry, button, dot] = ["li", "button", "i"].map((tag) => document.createElement(tag));
    dot.style.background = colour;
    button.type = "button";
    button.disabled = !count;
    button.append(dot, `${name}: ${count}`);
    button.addEventListener("click", () => choose(ofKind(number), true));
    entry.append(button);
    return entry;
  }));
}

function ofKind(number) {
  const images = [];
  colours.numbers.forEach((kind, image) => { if (kind === number) images.push(image); });
  return images;
}

function listen() {
  get("colour").addEventListener("change", () => {
    colours = colouring(points, get("colour").value);
    view.paint(colours);
    legend();
  });
  for (const mode of document.getElementsByName("mode")) mode.addEventListener("change", () => view.mode(mode.value));
  get("nearer").addEventListener("click", () => view.zoom(0.6));
  get("farther").addEventListener("click", () => view.zoom(1 / 0.6));
  get("whole").addEventListener("click", () => view.go(view.whole));
  get("none").addEventListener("click", () => choose([], true));
  let adding = false;
  plot.addEventListener("pointerdown", (event) => { adding = event.shiftKey; }, true);
  plot.on("plotly_selected", (event) => {
    if (event?.points && (event.lassoPoints || event.range)) choose(event.points.map((point) => point.pointIndex), !adding);
  });
  plot.on("plotly_hover", (event) => describe(event.points[0].pointIndex));
  plot.on("plotly_unhover", () => { card.hidden = true; });
  byKeyboard();
}

function describe(image) {
  const [across, down] = view.place(image);
  const [picture, text] = card.children;
  const source = plot.dataset.images + points.tasks[image];
  if (picture.getAttribute("src") !== source) picture.src = source;
  text.textContent = about(points, image);
  card.hidden = false;
  card.style.left = `${across + 16 + card.offsetWidth > plot.clientWidth ? Math.max(across - 16 - card.offsetWidth, 0) : across + 16}px`;
  card.style.top = `${Math.max(Math.min(down + 16, plot.clientHeight - card.offsetHeight), 0)}px`;
}

function byKeyboard() {
  let [across, down, size] = [plot.clientWidth / 2, plot.clientHeight / 2, 2];
  const inside = () => view.within(across, down, RADII[size]);
  const place = () => {
    Object.assign(circle.style, { left: `${across}px`, top: `${down}px`, width: `${2 * RADII[size]}px`, height: `${2 * RADII[size]}px` });
    const images = inside();
    get("heard").textContent = document.activeElement !== cross ? "" : images.length === 1 ? about(points, images[0]) : `${images.length} images in the circle. ${common(images)}`;
  };
  const keys = {
    ArrowLeft: (step) => { across -= step; }, ArrowRight: (step) => { across += step; }, ArrowUp: (step) => { down -= step; }, ArrowDown: (step) => { down += step; },
    "+": () => { size += 1; }, "-": () => { size -= 1; },
    Enter: () => choose(inside()), Delete: () => giveBack(inside()), Escape: () => choose([], true),
  };
  cross.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(STEP[Number(event.shiftKey)]);
    const beyond = [across, down];
    [across, down] = [[across, plot.clientWidth], [down, plot.clientHeight]].map(([at, end]) => Math.max(0, Math.min(end, at)));
    size = Math.max(0, Math.min(RADII.length - 1, size));
    if (across !== beyond[0] || down !== beyond[1]) view.shift(across - beyond[0], down - beyond[1]).then(place);
    else place();
  });
  for (const event of ["place", "focus", "blur"]) cross.addEventListener(event, place);
}

// What most of these images are, as the map is coloured now.
function common(images) {
  const counts = colours.kinds.map(() => 0);
  for (const image of images) counts[colours.numbers[image]] += 1;
  const best = counts.indexOf(Math.max(...counts));
  return images.length ? `${counts[best]} of them: ${colours.kinds[best].name}.` : "";
}

begin().catch((error) => { get("count").textContent = `The map cannot be drawn: ${error.message}. Load the page again.`; });
