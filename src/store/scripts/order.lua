-- The order in which upstreams serve one website, and which of them can serve now (P-01, P-03, A-01, A-13).
--   site:<website>            hash: fields below, u<id> -> '<place> <R> <B> <last use> <other places>'
--   order:<version>:<region>:<website>  zset: the upstreams met so far, by what keeps them from being chosen:
--                               place           free; ascending = least recently used first, below zero = never used
--                               BUSY + R        until then too soon after its last use
--                               BARRED + end    banned or down
-- Upstreams not met yet are met by a walk over the pool's ring of places, a cursor a region. Orders and walks are a pool
-- version's, as processes may have different pools for a while; what is known of an upstream is everybody's, and a place
-- in the order that does not fit it any more is put right when somebody comes upon it.
local order = {}
local FREE_TOP, BUSY, BARRED, TOP = 9e12, 1e13, 2e13, 3e13
-- How long a website's state outlives its last use where Redis has few keys and where it has many, and how much later it
-- may really go.
local IDLE, SHORT_IDLE, MANY, SLACK = 3600000, 120000, 50000, 30000
-- More used ones than this are too many to remember; older uses than this need not be (A-09b looks back that far).
local REMEMBERED, MEMORY = 512, 60000
-- So many pool versions a website knows at a time.
local VERSIONS = 3
-- At most so many are looked at where a request goes through banned ones (No-Bancheck) or the down ones are counted.
local LOOK = 256

local site, SITE, ORDER
-- Fields of the site's hash that are to be written at the end.
local changed = {}

function order.set(field, value)
  if #changed >= 1000 then
    call('HSET', SITE, unpack(changed))
    changed = {}
  end
  changed[#changed + 1] = field
  changed[#changed + 1] = value
end

function order.orderOf(region)
  return TAG .. 'order:' .. VERSION .. ':' .. region .. ':' .. site.name
end

-- `where` in [0, 1): where in the ring a new website begins, so that those seen once do not all meet one upstream.
function order.openSite(name, where)
  SITE = TAG .. 'site:' .. name
  site = { name = name, where = where, walks = {} }
  ORDER = order.orderOf('')
  local known =
    call('HMGET', SITE, 'turn', 'until' .. VERSION, 'barred' .. VERSION, 'watch', 'regions', 'k' .. VERSION .. ':', 'at')
  site.turn = tonumber(known[1] or 0)
  site.expiry = tonumber(known[2] or 0)
  site.firstBarred = tonumber(known[3] or 0)
  site.watch = tonumber(known[4] or 0)
  site.regions = known[5] or ''
  site.whole = known[6]
  site.where = tonumber(known[7] or where)
  site.need = now
end

-- The state must live until then.
function order.needUntil(at)
  site.need = max(site.need, at)
end

function order.closeSite()
  if site.need + SHORT_IDLE > site.expiry then
    local at = site.need + SLACK + (call('DBSIZE') > MANY and SHORT_IDLE or IDLE)
    order.set('until' .. VERSION, text(at))
    call('PEXPIRE', ORDER, text(at - now))
    for region in string.gmatch(site.regions, '%l+') do
      call('PEXPIRE', order.orderOf(region), text(at - now))
    end
    call('HSET', SITE, unpack(changed))
    call('PEXPIRE', SITE, text(at - now))
  elseif #changed > 0 then
    call('HSET', SITE, unpack(changed))
  end
end
