// The images of the map as arrays, and the colours that they can have.
const TYPES = { Float64Array, Float32Array, Int32Array, Int16Array, Uint8Array };
const NOBODY = 255; // certainty of an image whose guess is not told
const NEXT = 24; // images of the queue that its page shows
const KINDS = ["#3b7dd8", "#e07b00", "#2a9d5c", "#c8364a", "#8e5bd0", "#8c6d31", "#d455a5", "#1aa3a3", "#7f8c1f"]; // told apart on white and on black
const SURE = ["#c8364a", "#e07b00", "#8c8f2a", "#3b7dd8"];
const GREY = "#9aa0a8";

// What the server packed: a length, a header that names the arrays, and the arrays.
export async function load(address) {
  const answer = await fetch(address);
  if (!answer.ok || answer.redirected) throw new Error(`the server says ${answer.status}`);
  const bytes = await answer.arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const points = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  let at = 4 + length;
  for (const [name, type] of points.arrays) {
    points[name] = new TYPES[type](bytes, at, points.images);
    at += points[name].byteLength;
  }
  return points;
}

// How to colour by `what`: of each image the number of its kind; of each kind its name, colour and size.
export function colouring(points, what) {
  const make = { labels: byName, guesses: byName, certainty: byCertainty, places: byPlace }[what];
  const { kinds, of } = make(points, what);
  const numbers = Float32Array.from({ length: points.images }, (_, image) => of(image));
  const counts = kinds.map(() => 0);
  for (const number of numbers) counts[number] += 1;
  return { numbers, kinds: kinds.map(([name, colour], number) => ({ name, colour, count: counts[number] })) };
}

// A class keeps its colour whatever else changes, as far as there are colours for all.
function byName(points, what) {
  const values = points[what];
  const counts = points.names.map(() => 0);
  for (const value of values) if (value >= 0) counts[value] += 1;
  const enough = points.names.length <= KINDS.length;
  const used = points.names.map((_, number) => number).filter((number) => counts[number]);
  if (!enough) used.sort((a, b) => counts[b] - counts[a]);
  const shown = used.length > KINDS.length ? used.slice(0, KINDS.length - 1) : used;
  const kinds = shown.map((number, place) => [points.names[number], KINDS[enough ? number : place]]);
  const rest = used.length > shown.length ? kinds.push(["other classes", KINDS[KINDS.length - 1]]) - 1 : -1;
  const none = kinds.push([what === "labels" ? "no label" : "no guess told", GREY]) - 1;
  const kindOf = points.names.map((_, number) => (shown.includes(number) ? shown.indexOf(number) : rest));
  return { kinds, of: (image) => (values[image] < 0 ? none : kindOf[values[image]]) };
}

function byCertainty(points) {
  const limits = [50, 70, 90];
  const names = ["under 50 %", "50 to 70 %", "70 to 90 %", "90 % and more"];
  const kinds = [...names.map((name, number) => [name, SURE[number]]), ["no guess told", GREY]];
  return {
    kinds,
    of: (image) => (points.certainty[image] === NOBODY ? names.length : limits.filter((limit) => points.certainty[image] >= limit).length),
  };
}

function byPlace(points) {
  const kinds = [[`the next ${NEXT}`, KINDS[3]], ["later in the queue", KINDS[1]], ["not in the queue", KINDS[0]], ["has an answer", GREY]];
  return {
    kinds,
    of: (image) => (!points.open[image] ? 3 : points.places[image] < 0 ? 2 : points.places[image] < NEXT ? 0 : 1),
  };
}

// What is said of one image.
export function about(points, image) {
  const label = points.labels[image] < 0 ? "no label" : `label ${points.names[points.labels[image]]}`;
  const guess = points.guesses[image] < 0 ? "no guess told" : `guess ${points.names[points.guesses[image]]}, ${points.certainty[image]} %`;
  const place = points.places[image] < 0 ? "" : `, number ${points.places[image] + 1} in the queue`;
  return `Task ${points.tasks[image]}: ${label}, ${guess}${place}`;
}
