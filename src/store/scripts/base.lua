-- Common to all scripts. Every one of them gets
--   KEYS[1..n]  the keys it is known to use; the others it uses carry the same hash tag
--   ARGV[1]     the time in milliseconds, or '' for Redis' own (only tests bring theirs)
--   ARGV[2]     the process that asks
--   ARGV[3]     version of its pool
-- and answers {'pool'} when Redis does not have that version.
--
-- Functions are fields of a table a part, as a closure costs by the locals it captures and all are made anew in every run.
local base = {}
local call = redis.call
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

local now = tonumber(ARGV[1])
-- The same in microseconds: the order of asking.
local came
if now then
  came = now * 1000
else
  local time = call('TIME')
  came = time[1] * 1000000 + time[2]
  now = floor(came / 1000)
end

local NODE, VERSION = ARGV[2], ARGV[3]
local SEP = '\31'
local DAY = 86400000
-- How long a pool is kept that no process has any more: lists of upstreams may change every minute.
local POOL_LIFE = 600000
local TAG = string.match(KEYS[1], '^.-}:')
local NODES, HELD, DOWN, POOL = TAG .. 'nodes', TAG .. 'held:' .. NODE, TAG .. 'down', TAG .. 'pool:' .. VERSION

-- A whole number as text.
local function text(number)
  return string.format('%.0f', number)
end

-- What a client is told to wait (E-09).
function base.retryAfter(ms)
  return min(max(ceil(ms), 1000), 600000)
end

function base.refuse(condition, session, retryMs, nextMs)
  return { 'no', condition, session or '', retryMs and text(retryMs) or '', nextMs and text(nextMs) or '' }
end

-- Counts what this process holds: `sync` gives back what a dead one held.
function base.take(field)
  call('HINCRBY', HELD, field, 1)
end

-- False when this process was not known to hold it.
function base.give(field)
  local left = call('HINCRBY', HELD, field, -1)
  if left <= 0 then
    call('HDEL', HELD, field)
  end
  return left >= 0
end

function base.hasPool()
  return call('HEXISTS', POOL, 'n:') == 1
end

local infos = {}

-- An upstream of the asker's pool: {rotating, region, places}; false for a stranger.
function base.infoOf(id)
  local info = infos[id]
  if info == nil then
    local line = call('HGET', POOL, 'u' .. id)
    info = false
    if line then
      local rotating, region, places = string.match(line, '^(%d)(%l*) (.*)$')
      info = { rotating = rotating == '1', region = region, places = places }
    end
    infos[id] = info
  end
  return info
end

function base.downUntil(id)
  return tonumber(call('ZSCORE', DOWN, id) or 0)
end

-- Number of places and of upstreams in a region, '' for all.
function base.sizeOf(region)
  local line = call('HGET', POOL, 'n:' .. region)
  if not line then
    return 0, 0
  end
  local places, count = string.match(line, '^(%d+) (%d+)$')
  return tonumber(places), tonumber(count)
end
