"""Fetches one page through crawlgate with the standard library: urllib_fetch.py https://target.example/"""

import os
import ssl
import sys
import urllib.error
import urllib.request

PROXY = os.environ.get("CRAWLGATE_PROXY", "127.0.0.1:8010")
KEY = os.environ["CRAWLGATE_API_KEY"]
CA = os.environ.get("CRAWLGATE_CA", "certs/crawlera-ca.crt")

url = sys.argv[1] if len(sys.argv) > 1 else "https://target.example/"
# Any password does, but not an empty one: urllib would send no key at all.
proxy = f"http://{KEY}:unused@{PROXY}"
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({"http": proxy, "https": proxy}),
    urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=CA)),
)
try:
    # Requests wait for their turn: leave them time.
    with opener.open(url, timeout=600) as response:
        print(response.status, "through", response.headers["X-Crawlera-Slave"])
        print(response.read().decode())
except urllib.error.HTTPError as error:
    # Any status from 400 on; X-Crawlera-Error tells crawlgate's own from those of the website.
    sys.exit(f"{error.code} {error.headers['X-Crawlera-Error'] or 'from the website'}: {error.read().decode()}")
except urllib.error.URLError as error:
    # Also a wrong key on an https page: the tunnel is refused.
    sys.exit(str(error.reason))
