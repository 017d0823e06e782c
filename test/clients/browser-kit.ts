/** What the browser's tests share: a page in a Chromium behind a town's proxy, its complaints, and a website made of a table. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Browser, BrowserContext, CDPSession, Page, Response } from 'playwright-core';
import type { Handler, Town } from './kit.ts';
import { launchChromium } from './trusting-chromium.ts';

export interface Browsing {
  readonly browser: Browser;
  readonly page: Page;
  readonly notes: Notes;
}

/** What a page did since it was opened. */
export interface Notes {
  /** Errors on its console, errors of its scripts, requests that failed. */
  readonly complaints: string[];
  readonly responses: Response[];
}

/** `key` may be followed by `-session-NAME`; any password does. */
export const proxyOf = (town: Town, key = town.key): { server: string; username: string; password: string } => ({
  server: `http://${town.address}`,
  username: key,
  password: '',
});

export const notesOf = (page: Page): Notes => {
  const notes: Notes = { complaints: [], responses: [] };
  page.on('console', (message) => {
    if (message.type() === 'error') notes.complaints.push(message.text());
  });
  page.on('pageerror', (error) => notes.complaints.push(String(error)));
  page.on('requestfailed', (request) => notes.complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => notes.responses.push(response));
  return notes;
};

/** A page of a browser of its own, closed with the test. */
export const browse = async (
  town: Town,
  key = town.key,
  context: Parameters<Browser['newContext']>[0] = {},
): Promise<Browsing> => {
  const browser = await launchChromium({ proxy: proxyOf(town, key), caFile: town.caFile });
  const page = await (await browser.newContext(context)).newPage();
  return { browser, page, notes: notesOf(page) };
};

/** A page in a context of its own, with its own user name for the proxy. */
export const pageAs = async (browser: Browser, town: Town, key: string): Promise<Page> => {
  const context: BrowserContext = await browser.newContext({ proxy: proxyOf(town, key) });
  return context.newPage();
};

export type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => void | Promise<void>;

/** A website: answers by path, `*` for every other one; without that 404. */
export const website =
  (answers: Readonly<Record<string, Answer>>): Handler =>
  (request, response) => {
    const url = new URL(request.url ?? '/', 'http://any');
    const answer = answers[url.pathname] ?? answers['*'];
    if (answer) {
      void answer(request, response, url);
      return;
    }
    response.statusCode = 404;
    response.end();
  };

export const html =
  (body: string): Answer =>
  (_request, response) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><link rel="icon" href="data:,"><body>${body}</body>`);
  };

export const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

/** The page left while it was answered. */
const gone = (): void => {};

/** Answers the proxy's 407 through the devtools, only when the challenge names `origin` exactly; the origins that asked are returned. */
export const answerChallenges = async (devtools: CDPSession, origin: string, key: string): Promise<string[]> => {
  const asked: string[] = [];
  devtools.on('Fetch.requestPaused', ({ requestId }) => {
    devtools.send('Fetch.continueRequest', { requestId }).catch(gone);
  });
  devtools.on('Fetch.authRequired', ({ requestId, authChallenge }) => {
    asked.push(authChallenge.origin);
    const ours = authChallenge.source === 'Proxy' && authChallenge.origin === origin;
    const authChallengeResponse = ours
      ? ({ response: 'ProvideCredentials', username: key, password: '' } as const)
      : ({ response: 'Default' } as const);
    devtools.send('Fetch.continueWithAuth', { requestId, authChallengeResponse }).catch(gone);
  });
  await devtools.send('Fetch.enable', { handleAuthRequests: true });
  return asked;
};
