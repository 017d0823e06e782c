/** Two visitors in one browser: a context each, with its own session and its own cookies. node visitors.mjs ADDRESS */
import { chromium } from 'playwright-core';

const server = `http://${process.env.CRAWLGATE_PROXY ?? '127.0.0.1:8010'}`;
const key = process.env.CRAWLGATE_API_KEY;
const address = process.argv[2] ?? 'https://target.example/';

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' });
try {
  for (const name of ['ada', 'bob', 'ada']) {
    const context = await browser.newContext({ proxy: { server, username: `${key}-session-${name}`, password: '' } });
    const page = await context.newPage();
    page.setDefaultNavigationTimeout(190_000);
    const response = await page.goto(address);
    const headers = response.headers();
    console.log(name, response.status(), 'session', headers['x-crawlera-session'], 'through', headers['x-crawlera-slave']);
    await context.close();
  }
} finally {
  await browser.close();
}
