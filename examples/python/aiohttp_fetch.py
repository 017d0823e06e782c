"""Fetches pages at once through crawlgate with aiohttp: aiohttp_fetch.py https://target.example/a https://target.example/b"""

import asyncio
import os
import ssl
import sys

import aiohttp

PROXY = os.environ.get("CRAWLGATE_PROXY", "127.0.0.1:8010")
KEY = os.environ["CRAWLGATE_API_KEY"]
CA = os.environ.get("CRAWLGATE_CA", "certs/crawlera-ca.crt")

CONTEXT = ssl.create_default_context(cafile=CA)
# Requests wait for their turn: leave them time.
TIMEOUT = aiohttp.ClientTimeout(total=600)


async def fetch(client: aiohttp.ClientSession, url: str) -> str:
    try:
        async with client.get(url, proxy=f"http://{KEY}:@{PROXY}", ssl=CONTEXT) as response:
            text = await response.text()
            if "X-Crawlera-Error" in response.headers:
                return f"{response.status} {response.headers['X-Crawlera-Error']}: {text}"
            return f"{response.status} through {response.headers['X-Crawlera-Slave']}\n{text}"
    except aiohttp.ClientHttpProxyError as error:
        # A wrong key on an https page: the tunnel is refused.
        return f"{error.status} for the tunnel: {error.message}"
    except aiohttp.ClientError as error:
        return f"{type(error).__name__}: {error}"


async def main() -> None:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as client:
        for page in await asyncio.gather(*(fetch(client, url) for url in sys.argv[1:])):
            print(page)


asyncio.run(main())
