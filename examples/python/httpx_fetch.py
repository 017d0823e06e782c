"""Fetches pages at once through crawlgate with httpx: httpx_fetch.py https://target.example/a https://target.example/b"""

import asyncio
import os
import ssl
import sys

import httpx

PROXY = os.environ.get("CRAWLGATE_PROXY", "127.0.0.1:8010")
KEY = os.environ["CRAWLGATE_API_KEY"]
CA = os.environ.get("CRAWLGATE_CA", "certs/crawlera-ca.crt")


async def fetch(client: httpx.AsyncClient, url: str) -> str:
    try:
        response = await client.get(url)
    except (httpx.HTTPError, ssl.SSLError) as error:
        # Also a wrong key on an https page: the tunnel is refused.
        return f"{type(error).__name__}: {error}"
    if "X-Crawlera-Error" in response.headers:
        return f"{response.status_code} {response.headers['X-Crawlera-Error']}: {response.text}"
    return f"{response.status_code} through {response.headers['X-Crawlera-Slave']}\n{response.text}"


async def main() -> None:
    # A transport, since the argument for a proxy is spelt differently in old and new versions.
    transport = httpx.AsyncHTTPTransport(
        proxy=httpx.Proxy(f"http://{KEY}:@{PROXY}"),
        verify=ssl.create_default_context(cafile=CA),
    )
    # Requests wait for their turn: leave them time.
    async with httpx.AsyncClient(transport=transport, timeout=600) as client:
        for page in await asyncio.gather(*(fetch(client, url) for url in sys.argv[1:])):
            print(page)


asyncio.run(main())
