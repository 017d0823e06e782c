/** A page, with everything it loads, through one session: its name stands in the proxy's user name. node page.mjs ADDRESS */
import { chromium } from 'playwright-core';

const proxy = process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010';
const key = process.env.CRAWLGATE_API_KEY;
const address = process.argv[2] ?? 'https://target.example/';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  proxy: { server: `http://${proxy}`, username: `${key}-session-visitor`, password: '' },
});
try {
  const page = await browser.newPage();
  // crawlgate may hold requests until it is their turn.
  page.setDefaultNavigationTimeout(190_000);
  const response = await page.goto(address);
  const headers = response.headers();
  console.log(response.status(), headers['x-crawlera-error'] ?? '', 'session', headers['x-crawlera-session']);
  console.log(await page.textContent('body'));
} finally {
  await browser.close();
}
