"""Runs one spider a plan, each with the middleware of its generation, and prints what every answer made of its slot.

Reads a JSON list of plans from the file it is given:
    [{"name": "...", "settings": {"GENERATION": "1.4.0", ...}, "requests": [{"row", "url", "slot", "headers", "key", "session", "direct"}]}]
`session` takes the id of the answer before; requests follow one another. Requests share a delay when they share a slot.
"""
import json
import sys

import scrapy
from scrapy.crawler import CrawlerProcess
from w3lib.http import basic_auth_header

COMMON = {
    "TELNETCONSOLE_ENABLED": False,
    "HTTPERROR_ALLOW_ALL": True,
    "RETRY_ENABLED": False,
    "COOKIES_ENABLED": False,
    "DOWNLOAD_DELAY": 0,
    "RANDOMIZE_DOWNLOAD_DELAY": False,
    "AUTOTHROTTLE_ENABLED": False,
    "DOWNLOADER_MIDDLEWARES": {"middleware.PacedByAnswers": 610},
    "LOG_LEVEL": "ERROR",
}


class Reacting(scrapy.Spider):
    name = "reacting"

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.said_goodbye, scrapy.signals.spider_closed)
        return spider

    def __init__(self, plan, **kwargs):
        super().__init__(**kwargs)
        self.plan = plan

    def start_requests(self):
        yield self.request(0)

    def request(self, place, session=None):
        one = self.plan["requests"][place]
        headers = dict(one.get("headers", {}))
        if one.get("session"):
            headers["X-Crawlera-Session"] = session
        if one.get("key"):
            headers["Proxy-Authorization"] = basic_auth_header(one["key"], "")
        return scrapy.Request(
            one["url"],
            headers=headers,
            meta={"past_crawlgate": bool(one.get("direct")), "download_slot": one["slot"]},
            dont_filter=True,
            callback=self.answered,
            errback=self.failed,
            cb_kwargs={"place": place, "before": self.counts()},
        )

    def counts(self):
        stats = self.crawler.stats
        return [stats.get_value("paced/bans", 0), stats.get_value("paced/repeats", 0)]

    def answered(self, response, place, before):
        session = response.headers.get("X-Crawlera-Session")
        told = {
            "status": response.status,
            "error": (response.headers.get("X-Crawlera-Error") or b"").decode(),
            "retryAfter": float(response.headers.get("Retry-After") or 0),
        }
        yield from self.tell(response.request, place, before, session, **told)

    def failed(self, failure):
        arguments = failure.request.cb_kwargs
        yield from self.tell(failure.request, arguments["place"], arguments["before"], failed=type(failure.value).__name__)

    def tell(self, request, place, before, session=None, **told):
        one = self.plan["requests"][place]
        slot = self.crawler.engine.downloader.slots[request.meta["download_slot"]]
        bans, repeats = (now - then for now, then in zip(self.counts(), before))
        line = {"plan": self.plan["name"], "row": one["row"], "bans": bans, "repeats": repeats, "delay": slot.delay}
        print(json.dumps({**line, **told}), flush=True)
        if place + 1 < len(self.plan["requests"]):
            yield self.request(place + 1, session)

    def said_goodbye(self, reason):
        print(json.dumps({"plan": self.plan["name"], "closed": reason}), flush=True)


class Process(CrawlerProcess):
    """Spiders of this file alone, each with settings of its own."""

    def start_plan(self, plan):
        spider = type("Plan", (Reacting,), {"custom_settings": plan["settings"]})
        self.crawl(spider, plan=plan)


with open(sys.argv[1]) as file:
    plans = json.load(file)
process = Process(COMMON)
for plan in plans:
    process.start_plan(plan)
process.start()
