/**
 * What the vendor's browser plugins do to a page, as section 16 of the contract has it: a session before the first request,
 * its id on every request, a new one only after exactly `X-Crawlera-Error: bad_session_id`, the key only for exactly this proxy.
 */
import type { CDPSession, Page } from 'playwright-core';
import { basic } from '../support/client.ts';

export interface PluginOptions {
  /** Scheme, host and port, compared character by character with what the browser calls the proxy. */
  readonly spmHost: string;
  readonly key: string;
}

export interface PluginTrace {
  /** Ids in order of their making. */
  readonly sessions: string[];
  /** Origins of the challenges that came. */
  readonly challenges: string[];
  /** Names of response headers of the proxy, spelled as they came. */
  readonly names: Set<string>;
  /** Why a session could not be made: then the request is dropped, and the page with it. */
  readonly failures: string[];
}

interface Header {
  readonly name: string;
  readonly value: string;
}

const CONTROLS = { 'X-Crawlera-No-Bancheck': '1', 'X-Crawlera-Profile': 'pass', 'X-Crawlera-Cookies': 'disable' };

const CLIENT = { 'X-Crawlera-Client': 'browser-plugin-pattern/1.0' };

/** The body of the answer, verbatim, is the id; any 2xx will do. */
const makeSession = async ({ spmHost, key }: PluginOptions): Promise<string> => {
  const headers = { Authorization: basic(key), ...CLIENT };
  const response = await fetch(`${spmHost}/sessions`, { method: 'POST', headers });
  if (!response.ok) throw new Error(`no session: ${response.status}`);
  return response.text();
};

/** One session for as long as it lives; pages that ask at the same time may each make one, as with the plugins. */
const keepSession = (options: PluginOptions, trace: PluginTrace) => {
  let id: string | undefined;
  return {
    get: async (): Promise<string> => {
      if (id === undefined) {
        id = await makeSession(options);
        trace.sessions.push(id);
      }
      return id;
    },
    look: (headers: readonly Header[]): void => {
      for (const { name, value } of headers) {
        if (/^x-crawlera-/i.test(name)) trace.names.add(name);
        if (name === 'X-Crawlera-Error' && value === 'bad_session_id') id = undefined;
      }
    },
  };
};

/** The page left while it was answered; the plugins take no notice either. */
const gone = (): void => {};

const newTrace = (): PluginTrace => ({ sessions: [], challenges: [], names: new Set(), failures: [] });

/** Through the devtools, as the plugins do it in Chromium: at the request and at the response of everything the page asks for. */
export const pluginByDevtools = async (page: Page, options: PluginOptions): Promise<PluginTrace> => {
  const trace = newTrace();
  const session = keepSession(options, trace);
  const devtools: CDPSession = await page.context().newCDPSession(page);
  const goOn = async (requestId: string, headers: Readonly<Record<string, string>>): Promise<void> => {
    const all = { ...headers, 'X-Crawlera-Session': await session.get(), ...CLIENT, ...CONTROLS };
    const list = Object.entries(all).map(([name, value]) => ({ name, value }));
    await devtools.send('Fetch.continueRequest', { requestId, headers: list });
  };
  devtools.on(
    'Fetch.requestPaused',
    ({ requestId, request, responseHeaders, responseStatusCode, responseErrorReason }) => {
      if (responseStatusCode !== undefined || responseErrorReason !== undefined) {
        session.look(responseHeaders ?? []);
        devtools.send('Fetch.continueRequest', { requestId }).catch(gone);
        return;
      }
      goOn(requestId, request.headers).catch((error: Error) => {
        trace.failures.push(error.message);
        devtools.send('Fetch.failRequest', { requestId, errorReason: 'Failed' }).catch(gone);
      });
    },
  );
  devtools.on('Fetch.authRequired', ({ requestId, authChallenge }) => {
    trace.challenges.push(authChallenge.origin);
    const ours = authChallenge.source === 'Proxy' && authChallenge.origin === options.spmHost;
    const response = ours ? 'ProvideCredentials' : 'Default';
    const credentials = ours ? { username: options.key, password: '' } : {};
    const authChallengeResponse = { response, ...credentials } as const;
    devtools.send('Fetch.continueWithAuth', { requestId, authChallengeResponse }).catch(gone);
  });
  await devtools.send('Fetch.enable', {
    patterns: [{ requestStage: 'Request' }, { requestStage: 'Response' }],
    handleAuthRequests: true,
  });
  return trace;
};

/** Through Playwright's routes, as the plugins do it in the other browsers: there the 407 is Playwright's business. */
export const pluginByRoutes = async (page: Page, options: PluginOptions): Promise<PluginTrace> => {
  const trace = newTrace();
  const session = keepSession(options, trace);
  await page.route(
    () => true,
    async (route, request) => {
      const headers = { ...(await request.allHeaders()), ...CLIENT, ...CONTROLS };
      await route.continue({ headers: { ...headers, 'X-Crawlera-Session': await session.get() } });
    },
  );
  // Playwright spells every name in lower case here.
  page.on('response', (response) => {
    const value = response.headers()['x-crawlera-error'];
    if (value !== undefined) session.look([{ name: 'X-Crawlera-Error', value }]);
  });
  return trace;
};
