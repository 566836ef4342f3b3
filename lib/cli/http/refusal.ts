/** A request that is not done, and the answer that says so. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** The status that goes with an error of the farm's; what is not known here is nobody's mistake but ours. */
const STATUS: Readonly<Record<string, number>> = {
  ERR_NO_QUORUM: 503,
  ERR_OUTCOME_UNKNOWN: 503,
  ERR_OVERLOADED: 503,
  ERR_CLOSED: 503,
  ERR_WATCH_OVERFLOW: 503,
  ERR_VALUE_TOO_LARGE: 413,
  // The key or the life that was asked for; the node's own options were checked before.
  ERR_CONFIG: 400,
  ERR_LIFETIME_OVER: 400,
  ERR_TOO_MANY_LIVES: 500,
  ERR_UNREADABLE: 500,
};

/** Seconds after which it may be worth to ask again. */
const RETRY_AFTER = { 'Retry-After': '1' };

export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const status = typeof code === 'string' ? STATUS[code] : undefined;
  if (status === undefined) {
    return new Refusal(
      500,
      'ERR_INTERNAL',
      'The node failed to do this; its own output (DEBUG=connect-paxos:*) says why.',
    );
  }
  return new Refusal(status, String(code), String(message), status === 503 ? RETRY_AFTER : {});
}

/** Of a request that could not be read. @param code Node's, of what was wrong with it */
export function refusalOfBytes(code: string | undefined): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Refusal(431, 'ERR_HEAD_TOO_LARGE', 'The head of a request has at most 16 KiB.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Refusal(408, 'ERR_REQUEST_TIMEOUT', 'The request took too long to come.');
    default:
      return new Refusal(400, 'ERR_BAD_REQUEST', 'That is no request of HTTP/1.1.');
  }
}
