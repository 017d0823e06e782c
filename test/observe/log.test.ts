import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { scrubText } from '../../src/observe/scrub.ts';
import { logToFile } from './support.ts';

describe('the log', () => {
  it('robustness C11 hides secrets in messages and fields, however deep', () => {
    const { log, lines, text } = logToFile({ level: 'debug' });
    log.debug('loading https://u:canary@provider.example/list?token=canary', {
      password: 'canary',
      apiKey: 'canary',
      headers: { cookie: 'a=canary', 'proxy-authorization': 'Basic canary', accept: 'text/html' },
      list: ['socks5://u:canary@h:1', 'Set-Cookie: sid=canary; Path=/'],
      error: new Error('http://u:canary@h'),
      store: 'redis://:canary@h:1',
    });
    log.failure('cannot read http://u:canary@h', new Error('x'), { url: 'http://u:canary@h' });
    expect(text()).not.toContain('canary');
    expect(lines()[0]).toMatchObject({
      msg: 'loading https://***@provider.example/list?***',
      headers: { accept: 'text/html' },
    });
  });

  it('writes what its level asks for, and follows a change of it', () => {
    const { log, lines } = logToFile({ level: 'warn' });
    log.info('unheard');
    log.warn('heard');
    log.setLevel('debug');
    log.debug('heard too');
    log.setLevel('silent');
    log.error('unheard');
    expect(lines().map(({ msg }) => msg)).toEqual(['heard', 'heard too']);
  });

  it('is readable, a line a message, for a terminal', () => {
    const { log, text } = logToFile({ pretty: true });
    log.info('listening', { port: 8010, by: 'x\u001b[2J\ny' });
    const lines = text().trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/listening.*"port":8010/);
    expect(lines[0]).not.toContain('\u001b[2J');
  });

  it('robustness G13 loses no line when the process ends after close, nor when it just exits', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'crawlgate-log-'));
    const script = join(folder, 'child.mts');
    const module = pathToFileURL(resolve(import.meta.dirname, '../../src/observe/log.ts')).href;
    writeFileSync(
      script,
      `import { openLog } from '${module}';
      const log = openLog({ level: 'info' });
      for (let i = 0; i < 3000; i++) log.line('request', '"i":' + i + ',"filler":"' + 'x'.repeat(100) + '"');
      if (process.argv[2] === 'close') { log.close(); process.kill(process.pid, 'SIGKILL'); } else process.exit(0);`,
    );
    for (const way of ['close', 'exit']) expect(await countLines(script, way), way).toBe(3000);
    rmSync(folder, { recursive: true });
  });
});

const countLines = async (script: string, way: string): Promise<number> => {
  const child = spawn(process.execPath, ['--import', 'tsx', script, way], {
    cwd: resolve(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let lines = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) lines++;
  });
  await once(child, 'close');
  return lines;
};

describe('scrubbing', () => {
  it.each([
    ['http://user:p@ss@host:1/x', 'http://***@host:1/x'],
    ['GET http://h/p?q=secret HTTP/1.1', 'GET http://h/p?*** HTTP/1.1'],
    ['Authorization: Bearer abcdef', 'Authorization: ***'],
    ['sent basic Zm9vOmJhcg==', 'sent basic ***'],
    ['{"cookie":"a=b","x":1}', '{"cookie":"***","x":1}'],
    ['password=hunter2 next', 'password=*** next'],
    ['connect to 192.0.2.1:3128 refused', 'connect to 192.0.2.1:3128 refused'],
  ])('%s becomes %s', (text, clean) => {
    expect(scrubText(text)).toBe(clean);
  });

  it('takes no longer than linear time', () => {
    const startedAt = performance.now();
    for (const part of ['http://', 'a@', 'cookie: ', 'x://a?', 'basic ', '://']) scrubText(part.repeat(20_000));
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});
