/** One Express app with a store behind express-session, as a user would write it. */
import { once } from 'node:events';
import express from 'express';
import session from 'express-session';
import { answerCommands } from './processes.js';
import { MAX_AGE_MS, sessionData } from './sessions.js';
import { openStore } from './stores.js';

let opened = null;
let server = null;

answerCommands(
  {
    async open(options) {
      opened = await openStore(options);
      server = makeApp(opened.store).listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { url: `http://127.0.0.1:${server.address().port}` };
    },
    clear: () => opened?.store.clear(),
    cpuMicros() {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
  },
  async () => {
    server?.closeAllConnections();
    await opened?.close();
  },
);

function makeApp(store) {
  const app = express();
  app.use(
    session({
      store,
      secret: 'only for measuring',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: MAX_AGE_MS },
    }),
  );
  app.get('/login/:n', (req, res) => {
    Object.assign(req.session, sessionData(Number(req.params.n)));
    res.send('welcome');
  });
  app.get('/read', loggedIn, (req, res) => {
    res.send(`${req.session.views} views`);
  });
  app.get('/write', loggedIn, (req, res) => {
    req.session.views += 1;
    res.send(`${req.session.views} views`);
  });
  return app;
}

function loggedIn(req, res, next) {
  if (req.session.user === undefined) res.status(401).send('not logged in');
  else next();
}
