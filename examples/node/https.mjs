/** Node's own http and https modules, no package: a tunnel for https, opened by hand. node https.mjs ADDRESS */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { connect } from 'node:tls';

const [host, port] = (process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010').split(':');
const key = process.env.CRAWLGATE_API_KEY;
const ca = readFileSync(process.env.CRAWLGATE_CA ?? 'certs/crawlera-ca.crt');
const target = new URL(process.argv[2] ?? 'https://target.example/');

const openTunnel = () =>
  new Promise((resolve, reject) => {
    const path = `${target.hostname}:${target.port || 443}`;
    const login = `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
    const asked = http.request({
      host,
      port,
      method: 'CONNECT',
      path,
      headers: { Host: path, 'Proxy-Authorization': login },
    });
    asked.on('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`CONNECT ${response.statusCode} ${response.headers['x-crawlera-error']}`));
    });
    asked.on('error', reject);
    asked.end();
  });

const socket = await openTunnel();
const secure = connect({ socket, servername: target.hostname, ca });
const headers = { 'X-Crawlera-Session': 'create' };

https
  .get(target, { createConnection: () => secure, headers }, (response) => {
    const { statusCode, headers } = response;
    console.log('GET', statusCode, headers['x-crawlera-error'] ?? '', 'session', headers['x-crawlera-session']);
    response.pipe(process.stdout);
    response.on('end', () => secure.destroy());
  })
  .on('error', (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
