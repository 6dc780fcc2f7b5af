// The gateway's JSON, its events, and requests with the header that only its own pages know.

let session = null;

export class Refused extends Error {
  constructor(code, error, message) {
    super(message);
    this.code = code;
    this.error = error;
  }
}

async function answered(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error ?? "HttpError", body.message ?? response.statusText);
  return body;
}

export const get = async (path) => answered(await fetch(`/api/v1${path}`, { headers: { accept: "application/json" } }));

export async function open() {
  session = await get("/session");
  return session;
}

export const steer = async (campaign, name, body) =>
  answered(await fetch(`/api/v1/campaigns/${campaign}/requests/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-moireloop-csrf": session.csrf },
    body: JSON.stringify(body),
  }));

// Follows the events of a campaign. The browser connects again by itself with the last id; where it gives up, we do.
// A stream that says nothing for a while is looked at as lost.
export function listen(campaign, since, heard, connected) {
  let source = null, lastId = since, again = null, closed = false;
  const openSource = () => {
    source = new EventSource(`/api/v1/campaigns/${campaign}/events${lastId ? `?since=${lastId}` : ""}`);
    source.onopen = () => connected(true);
    source.onerror = () => {
      connected(false);
      if (source.readyState === EventSource.CLOSED && !closed) again = setTimeout(openSource, 1500);
    };
    for (const topic of session.topics) {
      source.addEventListener(topic, (message) => {
        if (message.lastEventId) lastId = message.lastEventId;
        heard(topic, JSON.parse(message.data));
      });
    }
  };
  openSource();
  return () => { closed = true; clearTimeout(again); source.close(); };
}
