/** Section 2 of the contract over real sockets: who may come in, by which door, and what the others are told. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AUTH, basic, call, get, openLine, openSecure } from '../support/client.ts';
import { makeOrigin, type Origin } from '../support/origin.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';

let proxy: RunningProxy;
let origin: Origin;
let site: string;

const ACCOUNTS = `accounts:
  - { id: test, key: ${KEY} }
  - { id: other, key: other-key }
  - { id: hyphen, key: ${KEY}-session-x }
  - { id: spm, key: spm-key, dialect: spm }
`;

beforeAll(async () => {
  origin = await makeOrigin();
  proxy = await startProxy(ACCOUNTS);
  site = `http://shop.localhost:${origin.port}`;
});
afterAll(async () => {
  await proxy.close();
  await origin.close();
});
afterEach(() => expect(proxy.bugs).toEqual([]));

const askWith = async (authorization: string | undefined, url = `${site}/`) => {
  const line = await openLine(proxy.port);
  const header = authorization === undefined ? '' : `Proxy-Authorization: ${authorization}\r\n`;
  const answer = await line.ask(`GET ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${header}\r\n`);
  line.socket.destroy();
  return answer;
};

const encode = (text: string): string => Buffer.from(text).toString('base64');

describe('who gets in', () => {
  it.each([
    ['an empty password', `Basic ${encode(`${KEY}:`)}`],
    ['any password', `Basic ${encode(`${KEY}:DUMMY`)}`],
    ['an extra colon', `Basic ${encode(`${KEY}::`)}`],
    ['no colon at all', `Basic ${encode(KEY)}`],
  ])('U-01 takes the user name as the key: %s', async (_what, value) => {
    expect((await askWith(value)).status).toBe(200);
  });

  it.each([
    ['a lower-case scheme', `basic ${encode(`${KEY}:`)}`],
    ['an upper-case scheme', `BASIC ${encode(`${KEY}:`)}`],
    ['no padding', `Basic ${encode(`${KEY}:`).replace(/=+$/, '')}`],
    ['the URL alphabet', `Basic ${encode(`${KEY}:???>>>`).replaceAll('/', '_').replaceAll('+', '-')}`],
  ])('U-03 reads %s', async (_what, value) => {
    expect((await askWith(value)).status).toBe(200);
  });

  it.each([
    ['nothing', undefined],
    ['a wrong key', basic('wrong')],
    ['an empty user name', basic('')],
    ['another scheme', 'Bearer abc'],
    ['no base64', 'Basic %%%'],
    ['an over-long value', `Basic ${encode('x'.repeat(5000))}`],
  ])('U-04 answers %s with 407, a challenge and no body', async (_what, value) => {
    const seen = origin.requests.length;
    const answer = await askWith(value);
    expect(answer.status).toBe(407);
    expect(answer.header('X-Crawlera-Error')).toBe('bad_auth');
    expect(answer.header('Proxy-Authenticate')).toBe('Basic realm="Crawlera"');
    expect(answer.header('Content-Length')).toBe('0');
    expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    expect(answer.header('Retry-After')).toBeUndefined();
    expect(answer.body).toBe('');
    expect(origin.requests.length).toBe(seen);
  });

  it('U-04 does not tell an unknown key from none (robustness C06)', async () => {
    expect((await askWith(basic('wrong'))).raw).toBe((await askWith(undefined)).raw);
  });
});

describe('CONNECT', () => {
  it('U-05 U-06 challenges a CONNECT without a key, and takes the key on the same connection', async () => {
    const line = await openLine(proxy.port);
    const refused = await line.ask('CONNECT shop.localhost:443 HTTP/1.1\r\nHost: shop.localhost:443\r\n\r\n');
    expect(refused.status).toBe(407);
    expect(refused.header('Proxy-Authenticate')).toBe('Basic realm="Crawlera"');
    expect(refused.header('X-Crawlera-Error')).toBe('bad_auth');
    const taken = await line.ask(`CONNECT shop.localhost:443 HTTP/1.1\r\nHost: shop.localhost:443\r\n${AUTH}\r\n`);
    expect(taken.status).toBe(200);
    line.socket.destroy();
  });

  it('U-07 inherits the account inside the tunnel and neither needs nor forwards an inner Proxy-Authorization', async () => {
    const line = await openLine(proxy.port);
    await line.ask(`CONNECT shop.localhost:${origin.port} HTTP/1.1\r\n${AUTH}\r\n`);
    const answer = await line.ask(
      `GET /inner HTTP/1.1\r\nHost: shop.localhost\r\nProxy-Authorization: ${basic('rubbish')}\r\n\r\n`,
    );
    expect(answer.status).toBe(200);
    expect(origin.requests.at(-1)?.head).toMatch(/^GET \/inner /);
    expect(origin.requests.at(-1)?.head).not.toMatch(/proxy-authorization/i);
    line.socket.destroy();
  });

  it('U-06 does not let an inner key open a tunnel that was refused', async () => {
    const line = await openLine(proxy.port);
    const refused = await line.ask(`CONNECT shop.localhost:${origin.port} HTTP/1.1\r\n\r\n`);
    expect(refused.status).toBe(407);
    const inner = await line.ask(`GET /sneaky HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}\r\n`);
    // It is a direct endpoint now, not the inside of a tunnel.
    expect(inner.header('X-Crawlera-Error')).toBe('bad_endpoint');
    line.socket.destroy();
  });
});

describe('direct endpoints', () => {
  it('U-02 takes Authorization, and Proxy-Authorization as well', async () => {
    expect((await call(proxy, 'GET', '/sessions')).status).toBe(200);
    const line = await openLine(proxy.port);
    const answer = await line.ask(`GET /sessions HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    expect(answer.status).toBe(200);
    line.socket.destroy();
  });

  it.each(['/sessions', '/fetch?url=http%3A//shop.localhost/', '/nothing-here'])(
    'U-08 refuses %s without a key with 407 (robustness C04)',
    async (path) => {
      const line = await openLine(proxy.port);
      const answer = await line.ask(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(answer.status).toBe(407);
      expect(answer.header('X-Crawlera-Error')).toBe('bad_auth');
      expect(answer.header('Proxy-Authenticate')).toBe('Basic realm="Crawlera"');
      expect(answer.body).toBe('');
      line.socket.destroy();
    },
  );

  it('U-08 answers 401 with WWW-Authenticate there when configured, 407 still to proxy requests', async () => {
    const polite = await startProxy('authStatus: 401');
    const line = await openLine(polite.port);
    const direct = await line.ask('GET /sessions HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(direct.status).toBe(401);
    expect(direct.header('WWW-Authenticate')).toBe('Basic realm="Crawlera"');
    expect(direct.header('Proxy-Authenticate')).toBeUndefined();
    expect(direct.header('X-Crawlera-Error')).toBe('bad_auth');
    const proxied = await line.ask(`GET ${site}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(proxied.status).toBe(407);
    line.socket.destroy();
    await polite.close();
  });
});

describe('secrets', () => {
  it('U-10 never sends the key to the target, in either form of request', async () => {
    await get(proxy, `${site}/plain`);
    const line = await openLine(proxy.port);
    await line.ask(`CONNECT shop.localhost:${origin.port} HTTP/1.1\r\n${AUTH}\r\n`);
    await line.ask(`GET /tunnel HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}\r\n`);
    line.socket.destroy();
    await call(proxy, 'GET', `/fetch?url=${encodeURIComponent(`${site}/fetched`)}`);
    expect(origin.received()).not.toContain(KEY);
    expect(origin.received()).not.toContain(encode(`${KEY}:`));
  });

  it('U-10 keeps the key out of receipts', () => {
    expect(JSON.stringify(proxy.receipts)).not.toContain(KEY);
  });

  it('slows down whoever guesses keys from one address (robustness C06)', async () => {
    const own = await startProxy();
    const line = await openLine(own.port);
    const wrong = `GET ${site}/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic('guess')}\r\n\r\n`;
    for (let i = 0; i < 20; i++) expect((await line.ask(wrong)).status).toBe(407);
    let answered = false;
    const next = line.ask(wrong).then((answer) => {
      answered = true;
      return answer;
    });
    // The right key from the same address is not held up by it.
    expect((await get(own, `${site}/`)).status).toBe(200);
    expect(answered).toBe(false);
    expect((await next).status).toBe(407);
    line.socket.destroy();
    await own.close();
  });
});

describe('user-name suffixes (U-11)', () => {
  const sessionOf = async (user: string, more = '') => {
    const line = await openLine(proxy.port);
    const answer = await line.ask(
      `GET ${site}/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${basic(user)}\r\n${more}\r\n`,
    );
    line.socket.destroy();
    return answer;
  };

  it('U-11 makes the named session at the first request and keeps it', async () => {
    const first = await sessionOf('other-key-session-cart');
    const id = first.header('X-Crawlera-Session');
    expect(id).toMatch(/^[1-9]\d{6,14}$/);
    expect((await sessionOf('other-key-session-cart')).header('X-Crawlera-Session')).toBe(id);
    expect((await sessionOf('other-key-session-basket')).header('X-Crawlera-Session')).not.toBe(id);
  });

  it('U-11 makes it silently anew after it was deleted, never bad_session_id (S-09)', async () => {
    const id = (await sessionOf('other-key-session-gone')).header('X-Crawlera-Session');
    const line = await openLine(proxy.port);
    const deleted = await line.ask(
      `DELETE /sessions/${id} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic('other-key')}\r\n\r\n`,
    );
    expect(deleted.status).toBe(204);
    line.socket.destroy();
    const again = await sessionOf('other-key-session-gone');
    expect(again.status).toBe(200);
    expect(again.header('X-Crawlera-Session')).not.toBe(id);
  });

  it('U-11 lets the session header win over the name', async () => {
    const id = (await sessionOf('other-key', 'X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    const answer = await sessionOf('other-key-session-cart', `X-Crawlera-Session: ${id}\r\n`);
    expect(answer.header('X-Crawlera-Session')).toBe(id);
  });

  it('U-11 takes the region from the name and refuses one that is not served', async () => {
    const answer = await sessionOf('other-key-region-fr');
    expect(answer.status).toBe(503);
    expect(answer.header('X-Crawlera-Error')).toBe('noslaves');
  });

  it('U-11 tries the whole user name as a key first', async () => {
    expect((await sessionOf(`${KEY}-session-x`)).header('X-Crawlera-Session')).toBeUndefined();
  });

  it.each([
    'other-key-session-',
    'other-key-session-bad.name',
    `other-key-session-${'x'.repeat(65)}`,
    'other-key-region-FR',
    'other-key-session-a-session-b',
    'other-key-Session-a',
  ])('U-11 takes %s for a wrong key', async (user) => {
    expect((await sessionOf(user)).status).toBe(407);
  });

  it('U-11 keeps one session for everything in a browser tunnel, and passes its own user agent on', async () => {
    const line = await openLine(proxy.port);
    const connect = `CONNECT shop.localhost:${origin.port} HTTP/1.1\r\n`;
    await line.ask(`${connect}Proxy-Authorization: ${basic('other-key-session-tab')}\r\n\r\n`);
    const one = await line.ask('GET /a HTTP/1.1\r\nHost: shop.localhost\r\nUser-Agent: Mine/1\r\n\r\n');
    const two = await line.ask('GET /b HTTP/1.1\r\nHost: shop.localhost\r\nUser-Agent: Mine/1\r\n\r\n');
    expect(one.header('X-Crawlera-Session')).toBe(two.header('X-Crawlera-Session'));
    expect(origin.requests.at(-1)?.head).toContain('User-Agent: Mine/1');
    line.socket.destroy();
  });
});

describe('dialects', () => {
  it('E-06 spells a 407 as all accounts do when they agree, on CONNECT too', async () => {
    const spm = await startProxy(
      `accounts:\n  - { id: one, key: one-key, dialect: spm }\n  - { id: two, key: two-key, dialect: spm }`,
    );
    const line = await openLine(spm.port);
    const plain = await line.ask(`GET ${site}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(plain.header('X-Crawlera-Error')).toBe('bad_proxy_auth');
    const connect = await line.ask('CONNECT shop.localhost:443 HTTP/1.1\r\n\r\n');
    expect(connect.header('X-Crawlera-Error')).toBe('bad_proxy_auth');
    line.socket.destroy();
    await spm.close();
  });

  it('U-04 E-03 spells the code for an spm account only where the account is known: a wrong key is bad_auth', async () => {
    expect((await askWith(basic('spm-kex'))).header('X-Crawlera-Error')).toBe('bad_auth');
  });

  it('R-01 carries the version inside a TLS tunnel too', async () => {
    const line = await openSecure(proxy, 'refused.localhost:9');
    const answer = await line.ask('GET / HTTP/1.1\r\nHost: refused.localhost\r\n\r\n');
    expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    line.socket.destroy();
  });
});
