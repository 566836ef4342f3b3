// @ts-check
/** The page's files: from whichever server a request goes to, or from the front where there is none. */
import { fileURLToPath } from 'node:url';
import express from 'express';

export const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'self'; img-src 'self' data:",
};

export const servePage = express.static(fileURLToPath(new URL('page', import.meta.url)), { cacheControl: false });
