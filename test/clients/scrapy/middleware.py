"""A downloader middleware that judges answers as the vendor's plugins did, generation by generation (contract 16, 16.1, E-06, E-07)."""
import random
from typing import NamedTuple, Optional

from twisted.internet.error import ConnectError, ConnectionDone, ConnectionRefusedError
from twisted.web.client import ResponseNeverReceived
from w3lib.http import basic_auth_header


class Generation(NamedTuple):
    """What a plugin's version looks at. The defaults are the first generation's."""

    only_banned: bool = False  # a ban is 503 with the word `banned`, no longer every 503
    repeats_407: bool = False
    wants_version: bool = False  # answers without X-Crawlera-Version are not judged
    names_itself: bool = False  # in X-Crawlera-Client
    alias: Optional[str] = None  # the header whose value stands for X-Crawlera-Error
    backs_off_on_any: bool = False  # whatever else comes with 429 or 503


SECOND = Generation(only_banned=True)
GENERATIONS = {
    "1.4.0": Generation(),
    "1.5.1": SECOND._replace(repeats_407=True),
    "1.7.2": SECOND._replace(repeats_407=True, wants_version=True),
    "2.2.0": SECOND._replace(repeats_407=True, wants_version=True, names_itself=True),
    "2.3.5": Generation(True, True, True, True, "Zyte-Error", True),
    "2.4.1": Generation(True, True, True, True, "Zyte-Error-Type", True),
}

PROXY_LOST = (ConnectError, ConnectionRefusedError, ConnectionDone, ResponseNeverReceived)


class PacedByAnswers:
    """Bans, Retry-After and errors become the delay of Scrapy's slot, until an answer is good again."""

    def __init__(self, crawler):
        settings = crawler.settings
        self.crawler = crawler
        self.generation = GENERATIONS[settings.get("GENERATION")]
        self.proxy = settings.get("PACED_PROXY")
        self.auth = basic_auth_header(settings.get("PACED_KEY"), "")
        self.max_bans = settings.getint("PACED_MAX_BANS", 400)
        self.step = settings.getfloat("PACED_STEP", 15)
        self.cap = settings.getfloat("PACED_CAP", 180)
        self.max_repeats = settings.getint("PACED_MAX_REPEATS", 10)
        self.jitter = settings.getbool("PACED_JITTER", True)
        self.lost_delay = settings.getfloat("PACED_LOST_DELAY", 90)
        self.bans = {}
        self.backoffs = {}
        self.usual = {}

    @classmethod
    def from_crawler(cls, crawler):
        return cls(crawler)

    def process_request(self, request, spider):
        if request.meta.get("past_crawlgate"):
            return
        request.meta["proxy"] = self.proxy
        request.meta["download_timeout"] = 190
        # Where a request brings its own key, it is the test's.
        request.headers.setdefault("Proxy-Authorization", self.auth)
        if self.generation.names_itself:
            request.headers["X-Crawlera-Client"] = "scrapy-zyte-smartproxy/" + self.crawler.settings.get("GENERATION")
        job = self.crawler.settings.get("PACED_JOB")
        if job:
            request.headers["X-Crawlera-Jobid"] = job

    def process_response(self, request, response, spider):
        if self.generation.wants_version and not response.headers.get("X-Crawlera-Version"):
            return response
        slot = self.slot_of(request)
        error = self.error_in(response)
        if self.is_ban(response, error):
            self.count_ban(slot, spider)
            after = response.headers.get("Retry-After")
            if after:
                self.delay(slot, float(after))
            return response
        self.bans[slot] = 0
        if response.status == 407 and error == "bad_proxy_auth" and self.generation.repeats_407:
            return self.repeat(request, slot) or response
        if self.asks_for_patience(response, error):
            self.back_off(slot)
            return response
        self.recover(slot)
        return response

    def process_exception(self, request, exception, spider):
        if request.meta.get("proxy") == self.proxy and isinstance(exception, PROXY_LOST):
            self.delay(self.slot_of(request), self.lost_delay)

    def error_in(self, response):
        alias = self.generation.alias and response.headers.get(self.generation.alias)
        return (alias or response.headers.get("X-Crawlera-Error") or b"").decode()

    def is_ban(self, response, error):
        return response.status == 503 and (not self.generation.only_banned or error == "banned")

    def asks_for_patience(self, response, error):
        if self.generation.only_banned and response.status == 503 and error == "noslaves":
            return True
        return self.generation.backs_off_on_any and response.status in (429, 503) and error != ""

    def count_ban(self, slot, spider):
        self.bans[slot] = self.bans.get(slot, 0) + 1
        self.crawler.stats.inc_value("paced/bans")
        if self.bans[slot] > self.max_bans:
            self.crawler.engine.close_spider(spider, "banned")

    def repeat(self, request, slot):
        times = request.meta.get("paced_repeats", 0) + 1
        self.back_off(slot)
        if times > self.max_repeats:
            return None
        self.crawler.stats.inc_value("paced/repeats")
        again = request.copy()
        again.meta["paced_repeats"] = times
        again.dont_filter = True
        return again

    def back_off(self, slot):
        """Full jitter: somewhere up to the step doubled so often, and never over the cap."""
        times = self.backoffs.get(slot, 0)
        self.backoffs[slot] = times + 1
        most = min(self.step * 2**times, self.cap)
        self.delay(slot, random.uniform(0, most) if self.jitter else most)

    def delay(self, slot, seconds):
        place = self.crawler.engine.downloader.slots.get(slot)
        if place:
            self.usual.setdefault(slot, place.delay)
            place.delay = seconds

    def recover(self, slot):
        self.backoffs.pop(slot, None)
        place = self.crawler.engine.downloader.slots.get(slot)
        if place and slot in self.usual:
            place.delay = self.usual.pop(slot)

    def slot_of(self, request):
        return request.meta.get("download_slot")
