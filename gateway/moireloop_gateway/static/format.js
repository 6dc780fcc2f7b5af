// Numbers, times and names in words.

export const number = (value, digits = 2) =>
  value === null || value === undefined || Number.isNaN(value) ? "–" : Number(value).toFixed(digits);

export const short = (value) =>
  value === null || value === undefined ? "–" : Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));

export const withError = (value, sigma) =>
  value === null || value === undefined ? "–" : sigma ? `${value.toFixed(2)}° ± ${sigma.toFixed(2)}°` : `${value.toFixed(2)}°`;

export const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(0)} %`);

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600), minutes = Math.floor((whole % 3600) / 60);
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export const clock = (seconds) => (seconds ? new Date(1000 * seconds).toLocaleString() : "–");

const UNITS = { k: "K", deg: "°", angstrom: "Å", ps: "ps", fs: "fs", s: "s", ev: "eV", bar: "bar", gpa: "GPa" };

// "temperature_k" becomes "temperature (K)".
export function label(name) {
  const parts = name.split("_"), unit = UNITS[parts.at(-1)];
  return unit && parts.length > 1 ? `${parts.slice(0, -1).join(" ")} (${unit})` : parts.join(" ");
}
