/** The sessions that are read and written: about 490 bytes of JSON each, cookie included. */
export const SESSION_COUNT = 1000;
export const MAX_AGE_MS = 3_600_000;

export function sessionId(n) {
  return `bench-${String(n % SESSION_COUNT).padStart(26, '0')}`;
}

/** What an app keeps in session `n`. */
export function sessionData(n) {
  return {
    user: {
      id: 100_000 + n,
      name: 'Ada Lovelace',
      email: `ada.${100_000 + n}@mail.example`,
      roles: ['customer', 'editor'],
    },
    csrf: 'kGf3v0XyT1m9QzL2w8RbNc5HsJd7PaUe',
    cart: [
      { sku: 'BK-0192837465', quantity: 1, price: 3499 },
      { sku: 'BK-5647382910', quantity: 2, price: 1250 },
      { sku: 'GM-1029384756', quantity: 1, price: 5999 },
    ],
    locale: 'en-GB',
    lastPage: '/orders/2026/summary',
    views: 100_000,
  };
}

/** The same as express-session would hand it to a store. */
export function storedSession(n) {
  const expires = new Date(Date.now() + MAX_AGE_MS);
  return { cookie: { originalMaxAge: MAX_AGE_MS, expires, httpOnly: true, path: '/' }, ...sessionData(n) };
}
