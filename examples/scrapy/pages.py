"""Fetches pages with Scrapy through crawlgate, in the pace that crawlgate keeps, and prints one JSON line a page.

    CRAWLGATE_API_KEY=... CRAWLGATE_CA=certs/crawlera-ca.crt \
        scrapy runspider examples/scrapy/pages.py -a urls=https://target.example/1,https://target.example/2

With `-a session=1` all pages are fetched through one upstream: the first request makes the session, the others name it.
"""
import json
import os

import scrapy
from OpenSSL import crypto
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

PROXY = "http://{}:@{}".format(
    os.environ["CRAWLGATE_API_KEY"], os.environ.get("CRAWLGATE_PROXY", "127.0.0.1:8010")
)
CA = os.environ.get("CRAWLGATE_CA")


@implementer(IPolicyForHTTPS)
class TrustCrawlgate:
    """Scrapy verifies no certificate of its own accord; this makes it verify, against crawlgate's CA alone."""

    def __init__(self, *args, **kwargs):
        with open(CA, "rb") as file:
            root = Certificate(crypto.load_certificate(crypto.FILETYPE_PEM, file.read()))
        self.root = trustRootFromCertificates([root])

    def creatorForNetloc(self, hostname, port):
        return optionsForClientTLS(hostname.decode("ascii"), trustRoot=self.root)


class PagesSpider(scrapy.Spider):
    name = "pages"

    custom_settings = {
        # crawlgate spaces the requests, per website and per upstream; a second pace on top only costs time.
        "DOWNLOAD_DELAY": 0,
        "AUTOTHROTTLE_ENABLED": False,
        # How many may wait at crawlgate at a time. All pages of a website share one slot, 8 wide by default.
        "CONCURRENT_REQUESTS": 16,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 16,
        # A held request is silent: longer than the longest attempt (180 s), so that crawlgate is the one to give up.
        "DOWNLOAD_TIMEOUT": 190,
        # After crawlgate's own retries. Not 407: a wrong key does not get right by trying again.
        "RETRY_TIMES": 5,
        "RETRY_HTTP_CODES": [429, 502, 503, 504],
        # crawlgate keeps the cookies, per upstream or session.
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "INFO",
        **({"DOWNLOADER_CLIENTCONTEXTFACTORY": TrustCrawlgate} if CA else {}),
    }

    def __init__(self, urls="", session=None, **kwargs):
        super().__init__(**kwargs)
        self.urls = urls.split(",")
        self.in_session = bool(session)

    def start_requests(self):
        if self.in_session:
            yield self.ask(self.urls[0], "create", self.go_on)
        else:
            yield from (self.ask(url) for url in self.urls)

    def ask(self, url, session=None, callback=None):
        return scrapy.Request(
            url,
            headers={"X-Crawlera-Session": session} if session else None,
            meta={"proxy": PROXY},
            callback=callback or self.parse,
            errback=self.failed,
            dont_filter=True,
        )

    def go_on(self, response):
        yield from self.parse(response)
        session = response.headers["X-Crawlera-Session"].decode()
        yield from (self.ask(url, session) for url in self.urls[1:])

    def parse(self, response):
        self.show(response)
        yield {"url": response.url, "title": response.css("title::text").get()}

    def failed(self, failure):
        if failure.check(HttpError):
            self.show(failure.value.response)
        else:
            print(json.dumps({"url": failure.request.url, "failed": failure.getErrorMessage()}), flush=True)

    def show(self, response):
        said = {name: response.headers.get(f"X-Crawlera-{name}") for name in ("Error", "Slave", "Session")}
        told = {name.lower(): value.decode() for name, value in said.items() if value}
        print(json.dumps({"url": response.url, "status": response.status, "bytes": len(response.body), **told}), flush=True)
