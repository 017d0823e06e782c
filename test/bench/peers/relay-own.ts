/** The same bare relay with this project's own transport behind it. */
import type { ServerResponse } from 'node:http';
import { makeTransport } from '../../../src/outbound/transport.ts';
import type { AttemptOptions, InboundResponse } from '../../../src/pipeline/ports.ts';
import { makeStop } from '../../../src/pipeline/stop.ts';
import { realClock } from '../../../src/store/clock.ts';
import { relayArguments, serveRelay } from './relay-front.ts';

const transport = makeTransport({
  settings: {
    timeouts: { connectMs: 10_000 },
    limits: { headersBytes: 100 * 1024 },
    targets: { extraRoots: relayArguments().rootsFile },
  },
  clock: realClock,
  judgeAddress: () => true,
});

const direct: AttemptOptions = {
  upstream: {
    id: 'direct',
    kind: 'direct',
    host: '',
    port: 0,
    username: undefined,
    password: undefined,
    localAddress: undefined,
    region: undefined,
    weight: 1,
    rotating: false,
    label: undefined,
  },
  owner: 'bench',
  session: undefined,
  headMs: 30_000,
  chunkMs: 30_000,
};

const answer = (response: ServerResponse, from: InboundResponse): void => {
  response.writeHead(from.status, from.headers as string[]);
  response.on('drain', () => from.body.resume());
  from.body.start({
    write: (chunk) => response.write(chunk),
    end: () => void response.end(),
    fail: () => void response.destroy(),
  });
};

serveRelay((request, response, { scheme, host, port, path, headers }) => {
  const target = { scheme, host, port, website: host, authority: `${host}:${port}` };
  const onward = {
    method: request.method ?? 'GET',
    target,
    path,
    headers,
    framed: false,
    webSocket: false,
    body: undefined,
    servername: undefined,
    insecureTarget: false,
  };
  transport.attempt(onward, direct, makeStop()).then(
    (from) => answer(response, from),
    () => void response.destroy(),
  );
});
