"""Scrapy with nothing of its own: asks what the JSON argument lists, one after the other, and prints what came of each.

    ask.py '{"settings": {}, "requests": [{"url": "http://...", "method": "POST", "body": "", "headers": {}, "meta": {}}]}'
"""
import json
import sys

import scrapy
from scrapy.crawler import CrawlerProcess

PLAN = json.loads(sys.argv[1])
SETTINGS = {"TELNETCONSOLE_ENABLED": False, "HTTPERROR_ALLOW_ALL": True, "LOG_LEVEL": "DEBUG", **PLAN.get("settings", {})}


class Ask(scrapy.Spider):
    name = "ask"

    def start_requests(self):
        yield self.request(0)

    def request(self, place):
        one = PLAN["requests"][place]
        return scrapy.Request(
            one["url"],
            method=one.get("method", "GET"),
            headers=one.get("headers"),
            body=one.get("body"),
            meta=one.get("meta"),
            dont_filter=True,
            callback=self.answered,
            errback=self.failed,
            cb_kwargs={"place": place},
        )

    def answered(self, response, place):
        headers = {name.decode(): response.headers[name].decode() for name in response.headers}
        yield from self.tell(place, status=response.status, headers=headers, body=response.text)

    def failed(self, failure):
        place = failure.request.cb_kwargs["place"]
        kind = type(failure.value).__name__
        yield from self.tell(place, failed=f"{kind}: {failure.value}", causes=str(getattr(failure.value, "reasons", "")))

    def tell(self, place, **told):
        print(json.dumps(told), flush=True)
        if place + 1 < len(PLAN["requests"]):
            yield self.request(place + 1)


process = CrawlerProcess(SETTINGS)
process.crawl(Ask)
process.start()
