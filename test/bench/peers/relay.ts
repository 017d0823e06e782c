/** The bare relay with `http.request` behind it: what Node itself costs. */
import { readFileSync } from 'node:fs';
import { Agent, request as requestPlain } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { relayArguments, serveRelay } from './relay-front.ts';

const plainAgent = new Agent({ keepAlive: true });
const tlsAgent = new TlsAgent({ keepAlive: true, ca: readFileSync(relayArguments().rootsFile) });

serveRelay((request, response, { scheme, ...onward }) => {
  const options = { ...onward, method: request.method ?? 'GET' };
  const sent =
    scheme === 'http' ? requestPlain({ ...options, agent: plainAgent }) : requestTls({ ...options, agent: tlsAgent });
  sent.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
  });
  sent.on('error', () => response.destroy());
  request.pipe(sent);
});
