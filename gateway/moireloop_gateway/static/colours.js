// Colours of data: viridis for twists, as in moireloop's figures, and the colours of the page's theme.

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

const channels = VIRIDIS.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));

const table = Array.from({ length: 64 }, (_, step) => {
  const at = (step / 63) * (channels.length - 1), low = Math.floor(at), high = Math.min(low + 1, channels.length - 1);
  const mixed = channels[low].map((value, i) => Math.round(value + (at - low) * (channels[high][i] - value)));
  return `rgb(${mixed.join(",")})`;
});

// Dark violet is not seen on a dark page: there the colours begin further up.
const DARK_BEGINS = 25;

let first = 0;

export function usesTheme(name) {
  first = name === "dark" ? DARK_BEGINS : 0;
}

// The colour of a share in [0, 1].
export const viridis = (share) => table[first + Math.max(0, Math.min(63 - first, Math.round((63 - first) * share)))];

export const LARGEST_TWIST_DEG = 30;

export const twistColour = (twist, without) => (twist === null ? without : viridis(twist / LARGEST_TWIST_DEG));

export const rampStyle = () => `background: linear-gradient(to right, ${table.slice(first).join(",")})`;

export const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Red, green and blue of "rgb(1,2,3)" or "#010203".
export function channelsOf(colour) {
  if (colour.startsWith("#")) return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return colour.match(/\d+/g).slice(0, 3).map(Number);
}
