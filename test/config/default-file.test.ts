import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSettings } from '../../src/config/load.ts';
import { makeLoader } from './support.ts';

const { cwd, settings } = makeLoader();

describe('config/crawlgate.yaml', () => {
  const file = resolve(import.meta.dirname, '../../config/crawlgate.yaml');
  const text = readFileSync(file, 'utf8');

  it('changes nothing as it is delivered', () => {
    expect(loadSettings({ file, explicit: true, env: {}, cwd })).toEqual(
      loadSettings({ file: 'nix', explicit: false, env: {}, cwd }),
    );
  });

  it('explains every key of the contract, and all of its examples are valid', () => {
    for (const name of ['ban-rules.yaml', 'user-agents.yaml', 'roots.pem']) writeFileSync(join(cwd, name), '');
    const examples = text
      .replaceAll(/^( *)# ((?:- |"?[\w*.]+"?: | {2})[^\n]*)/gm, '$1$2')
      .replaceAll(/^(?:Durations|Environment)/gm, '#')
      .replaceAll('./config/', './');
    const loaded = settings(examples, { DEMO_KEY: 'k', CRAWLGATE_ADMIN_KEY: 'a' });
    const keys =
      'listen host port tls http2 names admin key certificates authStatus data store workers accounts id plan dialect defaults ' +
      'maxConnections maxSessions upstreams url region weight rotating list every pacing siteDelay slaveDelay softLimit maxHold ' +
      'hardLimit sessions idle bans rules duration upstreamDown cookies userAgents websites insecureTarget forbidden targets ' +
      'allowPrivate ports extraRoots limits headers replay response outstanding retries timeouts connect responseMin ' +
      'responseMax drain storeLoss operatorContact log level keySha256';
    for (const key of keys.split(' ')) expect(text, key).toMatch(new RegExp(`\\b${key}:`));
    expect(loaded).toMatchObject({
      listen: { port: 8010, tlsPort: 8014, http2: false },
      accounts: [{ account: { id: 'demo', maxConnections: 50 } }],
      upstreams: { length: 5 },
      websites: { length: 3 },
    });
    const { pacing, sessions, bans, cookies, limits, timeouts, storeLoss, operatorContact, log, authStatus, workers } =
      settings('');
    expect(loaded).toMatchObject({
      pacing,
      sessions,
      cookies,
      limits,
      timeouts,
      storeLoss,
      operatorContact,
      log,
      authStatus,
      workers,
    });
    expect(loaded.bans).toMatchObject({ durationMs: bans.durationMs, upstreamDownMs: bans.upstreamDownMs });
  });
});
