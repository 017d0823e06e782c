/** A session made beforehand and control headers on every request of the page. node headers.mjs ADDRESS */
import { chromium } from 'playwright-core';

const server = `http://${process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010'}`;
const key = process.env.CRAWLGATE_API_KEY;
const address = process.argv[2] ?? 'https://target.example/';

const sessions = `${server}/sessions`;
const authorization = { Authorization: `Basic ${btoa(`${key}:`)}` };
const made = await fetch(sessions, { method: 'POST', headers: authorization });
const session = await made.text();

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  proxy: { server, username: key, password: '' },
});
try {
  const page = await browser.newPage({
    extraHTTPHeaders: {
      'X-Crawlera-Session': session,
      // The browser has a user agent and cookies of its own, and may see what a website answers when it bans.
      'X-Crawlera-Profile': 'pass',
      'X-Crawlera-Cookies': 'disable',
      'X-Crawlera-No-Bancheck': '1',
    },
  });
  page.setDefaultNavigationTimeout(190_000);
  const response = await page.goto(address);
  const answered = response.headers()['x-crawlera-session'];
  console.log(response.status(), answered === session ? 'in the session made' : 'elsewhere');
  console.log(await page.textContent('body'));
} finally {
  await browser.close();
  await fetch(`${sessions}/${session}`, { method: 'DELETE', headers: authorization });
}
