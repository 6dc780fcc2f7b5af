// What the page knows of one campaign. The gateway has the state; events say when to ask for what is new.

import { Refused, get, listen } from "./api.js";

const REFRESH_MS = 120;

const FORGET_AGAIN_MS = 60000;

export class Store {
  constructor(key) {
    this.key = key;
    this.path = `/campaigns/${key}`;
    this.summary = null;
    this.columns = {};
    this.total = 0;
    this.candidates = [];
    this.series = new Map();
    this.connected = false;
    this.trouble = "";
    this.listeners = new Set();
    this.closed = false;
  }

  async open() {
    await this.refresh();
    this.notify();
    if (this.stale) this.refreshSoon();
    // What a campaign that is still being read had before is not sent event by event: it is read as a whole.
    this.stop = listen(this.key, this.isReading ? null : this.summary.last_id, (topic, data) => this.heard(topic, data), (is) => this.reached(is));
    this.beat = setInterval(() => this.refreshSoon(), 5000);
  }

  close() {
    this.closed = true;
    clearInterval(this.beat);
    clearTimeout(this.timer);
    this.stop?.();
  }

  reached(connected) {
    const back = connected && !this.connected;
    this.connected = connected;
    if (back) this.refreshSoon();
    this.notify();
  }

  heard(topic, data) {
    if (topic.startsWith("observation/")) {
      this.observe(data.event);
      this.tellSoon();
      return;
    }
    if (!topic.startsWith("frame_analysed/")) this.refreshSoon();
  }

  observe(seen) {
    const points = this.series.get(seen.candidate_id) ?? [];
    if (points.length && points.at(-1).attempt !== seen.attempt) points.length = 0;
    if (points.length && points.at(-1).step >= seen.step) return;
    points.push({
      attempt: seen.attempt, step: seen.step, planned: seen.planned_steps, temperature_k: seen.temperature_k,
      twist_deg: seen.measurement.twist_deg, sigma_deg: seen.measurement.sigma_deg,
      order_lower: seen.measurement.order_lower, order_upper: seen.measurement.order_upper,
      reason: seen.measurement.reason,
    });
    this.series.set(seen.candidate_id, points);
    if (this.series.size > 200) this.series.delete(this.series.keys().next().value);
  }

  refreshSoon() {
    this.stale = true;
    if (!this.timer && !this.closed) this.timer = setTimeout(() => this.refreshNow(), REFRESH_MS);
  }

  async refreshNow() {
    this.stale = false;
    try {
      await this.refresh();
    } catch (error) {
      this.trouble = error instanceof Refused ? error.message : "The gateway does not respond; trying again.";
    }
    this.timer = null;
    this.notify();
    if (this.stale) this.refreshSoon();
  }

  async refresh() {
    const summary = await get(this.path);
    const after = this.lastResult ?? "0-0";
    const [results, flying] = await Promise.all([
      summary.results > this.total ? get(`${this.path}/results?after=${after}`) : null,
      get(`${this.path}/candidates`),
    ]);
    this.trouble = "";
    this.summary = summary;
    this.candidates = flying.candidates;
    if (results) this.take(results);
    if (results?.columns.id.length && !results.complete) this.stale = true;
    else if (["live", "ended"].includes(summary.phase) && this.total !== (results ?? { total: summary.results }).total) this.forget();
  }

  // Rows that the gateway has not, or other ones than it has, as after a crash that cost the log its end: all are read again.
  forget() {
    if (this.forgotten && performance.now() - this.forgotten < FORGET_AGAIN_MS) return;
    this.forgotten = performance.now();
    this.columns = {};
    this.total = 0;
    this.lastResult = null;
    this.stale = true;
  }

  take(results) {
    const before = this.total;
    for (const [name, values] of Object.entries(results.columns)) {
      const column = (this.columns[name] ??= new Array(before).fill(null));
      for (const value of values) column.push(value);
    }
    this.total = this.columns.id?.length ?? 0;
    this.lastResult = results.last_id;
  }

  // Whether there may be results that the gateway has not read, so that none says nothing.
  get isReading() {
    return this.summary?.phase === "reading" || this.total < (this.summary?.results ?? 0);
  }

  get parameters() {
    return Object.keys(this.summary?.space ?? {});
  }

  isHit(row) {
    const twist = this.columns.twist_deg[row];
    return twist !== null && this.summary.targets.some((t) => Math.abs(twist - t.twist_deg) <= t.tolerance_deg);
  }

  tellSoon() {
    this.due ??= setTimeout(() => { this.due = null; this.notify(); }, 100);
  }

  notify() {
    if (!this.closed) for (const listener of this.listeners) listener();
  }
}
