"""Fetches one page through crawlgate with requests: requests_fetch.py https://target.example/"""

import os
import sys

import requests

PROXY = os.environ.get("CRAWLGATE_PROXY", "127.0.0.1:8010")
KEY = os.environ["CRAWLGATE_API_KEY"]
CA = os.environ.get("CRAWLGATE_CA", "certs/crawlera-ca.crt")

url = sys.argv[1] if len(sys.argv) > 1 else "https://target.example/"
proxy = f"http://{KEY}:@{PROXY}"
try:
    # Requests wait for their turn: leave them time.
    response = requests.get(url, proxies={"http": proxy, "https": proxy}, verify=CA, timeout=600)
except requests.exceptions.RequestException as error:
    # Also a wrong key on an https page: the tunnel is refused.
    sys.exit(f"{type(error).__name__}: {error}")

if "X-Crawlera-Error" in response.headers:
    # An error of crawlgate's own; those of the website have no such header.
    sys.exit(f"{response.status_code} {response.headers['X-Crawlera-Error']}: {response.text}")
print(response.status_code, "through", response.headers["X-Crawlera-Slave"])
print(response.text)
