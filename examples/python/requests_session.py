"""Fetches pages one after another through one upstream: requests_session.py https://target.example/a https://target.example/b"""

import os
import sys

import requests

PROXY = os.environ.get("CRAWLGATE_PROXY", "127.0.0.1:8010")
KEY = os.environ["CRAWLGATE_API_KEY"]
CA = os.environ.get("CRAWLGATE_CA", "certs/crawlera-ca.crt")

proxy = f"http://{KEY}:@{PROXY}"
with requests.Session() as client:
    client.proxies = {"http": proxy, "https": proxy}
    client.verify = CA
    # In the environment REQUESTS_CA_BUNDLE would win over `verify` of a session.
    client.trust_env = False
    client.headers["X-Crawlera-Session"] = "create"
    for url in sys.argv[1:]:
        try:
            response = client.get(url, timeout=600)
        except requests.exceptions.RequestException as error:
            sys.exit(f"{type(error).__name__}: {error}")
        # Answers of a session name it, errors included.
        session = response.headers.get("X-Crawlera-Session", "create")
        if response.headers.get("X-Crawlera-Error") == "bad_session_id":
            session = "create"
        client.headers["X-Crawlera-Session"] = session
        print(response.status_code, session, response.headers.get("X-Crawlera-Error", response.text))
