import 'express-session';

/** What the tests keep in a session: users declare theirs in the same way. */
declare module 'express-session' {
  interface SessionData {
    user?: string;
    views?: number;
    cart?: Record<string, number>;
    tmp?: number;
    a?: unknown;
    b?: unknown;
    list?: number[];
  }
}
