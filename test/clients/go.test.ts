/** Go's net/http by its examples, compiled once, and its default transport. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { describeClient } from './kit.ts';
import { checkExamples, environment, firstLines, startTapped, type TappedTown, together } from './languages.ts';

/** Fetches its arguments with the default transport, one after the other or all at once; `CONNECT_SESSION` goes on CONNECT. */
const DEFAULTS = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

func show(target string) {
	response, err := http.Get(target)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.Proto, response.StatusCode, response.Header.Get("X-Crawlera-Session"), string(body))
}

func main() {
	if session := os.Getenv("CONNECT_SESSION"); session != "" {
		http.DefaultTransport.(*http.Transport).ProxyConnectHeader = http.Header{"X-Crawlera-Session": {session}}
	}
	var all sync.WaitGroup
	for _, target := range os.Args[1:] {
		all.Add(1)
		one := func(target string) {
			defer all.Done()
			show(target)
		}
		if os.Getenv("AT_ONCE") != "" {
			go one(target)
		} else {
			one(target)
		}
	}
	all.Wait()
}
`;

describeClient('go', () => {
  let folder = '';

  const build = (sources: string): void => {
    const env = { ...process.env, GOFLAGS: '-mod=mod', GOPROXY: 'off', GOCACHE: join(folder, 'cache') };
    execFileSync('go', ['build', '-o', `${join(folder, 'bin')}/`, './...'], { cwd: sources, env, timeout: 120_000 });
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'crawlgate-go-'));
    const own = join(folder, 'defaults');
    mkdirSync(own);
    writeFileSync(join(own, 'go.mod'), 'module crawlgate.example/defaults\n\ngo 1.19\n');
    writeFileSync(join(own, 'main.go'), DEFAULTS);
    build('examples/go');
    build(own);
  }, 150_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const defaults = (town: TappedTown, urls: readonly string[], env: Record<string, string> = {}): Promise<Exit> => {
    const proxy = `http://${town.key}:@${town.tap.address}`;
    const own = { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, SSL_CERT_FILE: town.caFile, ...env };
    return run(join(folder, 'bin', 'defaults'), urls, { env: own });
  };

  checkExamples({
    run: (example, town, url, means) => run(join(folder, 'bin', example), [url], { env: environment(town, means) }),
    untrusted: /x509: certificate signed by unknown authority/,
    wrongKey: [/^407 bad_auth: $/m, /: Proxy Authentication Required$/m],
  });

  it('T-08 C-01 takes proxy and CA from the environment by default, and speaks HTTP/1.1', async () => {
    const town = await startTapped();
    const { httpUrl, httpsUrl, https } = town.site;
    const { out } = await defaults(town, [`${httpUrl}/plain`, `${httpsUrl}/tls`]);
    expect(out).toBe('HTTP/1.1 200  GET /plain []\nHTTP/1.1 200  GET /tls []\n');
    expect(firstLines(town.tap)).toEqual([`GET ${httpUrl}/plain`, `CONNECT shop.localhost:${https.port}`]);
  });

  it('H-06 keeps a session for a tunnel that asked for it with ProxyConnectHeader', async () => {
    const town = await startTapped({ upstreams: 2 });
    const url = `${town.site.httpsUrl}/`;
    const { out } = await defaults(town, [url, url], { CONNECT_SESSION: 'create' });
    expect(out).toMatch(/^HTTP\/1\.1 200 (\d{7,15}) GET \/ \[\]\nHTTP\/1\.1 200 \1 GET \/ \[\]\n$/);
    expect(firstLines(town.tap)).toHaveLength(1);
  });

  it('fetches several pages at once, each through a tunnel of its own', async () => {
    const town = await startTapped({ handler: together(8) });
    const urls = Array.from({ length: 8 }, (_, n) => `${town.site.httpsUrl}/${n}`);
    const { out } = await defaults(town, urls, { AT_ONCE: '1' });
    expect(out.trim().split('\n').sort()).toEqual(urls.map((_, n) => `HTTP/1.1 200  page /${n}`));
    expect(firstLines(town.tap)).toHaveLength(8);
  });
});
