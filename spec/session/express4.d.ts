/** Express 4, installed under another name beside Express 5; for what the tests do the types are the same. */
declare module 'express4' {
  import express from 'express';
  export default express;
}
