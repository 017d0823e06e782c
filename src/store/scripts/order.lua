-- The order in which upstreams serve one website, and which of them can serve now (P-01, P-03, A-01, A-13).
--   site:<website>            hash: fields below, u<id> -> '<place> <R> <B> <last use> <other places>'
--   order:<version>:<region>:<website>  zset: the upstreams met so far, by what keeps them from being chosen:
--                               place           free; ascending = least recently used first, below zero = never used
--                               BUSY + R        until then too soon after its last use
--                               BARRED + end    banned or down
-- Upstreams not met yet are met by a walk over the pool's ring of places, a cursor a region. Orders and walks are a pool
-- version's, as processes may have different pools for a while; what is known of an upstream is everybody's, and a place
-- in the order that does not fit it any more is put right when somebody comes upon it.
local FREE_TOP, BUSY, BARRED, TOP = 9e12, 1e13, 2e13, 3e13
-- How long a website's state outlives its last use where Redis has few keys and where it has many, and how much later it
-- may really go.
local IDLE, SHORT_IDLE, MANY, SLACK = 3600000, 120000, 50000, 30000
-- More used ones than this are too many to remember; older uses than this need not be (A-09b looks back that far).
local REMEMBERED, MEMORY = 512, 60000
-- At most so many are looked at where a request goes through banned ones (No-Bancheck) or the down ones are counted.
local LOOK = 256

local site, SITE, ORDER
-- Fields of the site's hash that are to be written at the end.
local changed = {}

local function set(field, value)
  if #changed >= 1000 then
    call('HSET', SITE, unpack(changed))
    changed = {}
  end
  changed[#changed + 1] = field
  changed[#changed + 1] = value
end

local function orderOf(region)
  return TAG .. 'order:' .. VERSION .. ':' .. region .. ':' .. site.name
end

-- `where` in [0, 1): where in the ring a new website begins, so that those seen once do not all meet one upstream.
local function openSite(name, where)
  SITE = TAG .. 'site:' .. name
  site = { name = name, where = where, walks = {} }
  ORDER = orderOf('')
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
local function needUntil(at)
  site.need = max(site.need, at)
end

local function closeSite()
  if site.need + SHORT_IDLE > site.expiry then
    local at = site.need + SLACK + (call('DBSIZE') > MANY and SHORT_IDLE or IDLE)
    set('until' .. VERSION, text(at))
    call('PEXPIRE', ORDER, text(at - now))
    for region in string.gmatch(site.regions, '%l+') do
      call('PEXPIRE', orderOf(region), text(at - now))
    end
    call('HSET', SITE, unpack(changed))
    call('PEXPIRE', SITE, text(at - now))
  elseif #changed > 0 then
    call('HSET', SITE, unpack(changed))
  end
end

-- ---- walks ------------------------------------------------------------------------------------------------------

-- Id and place of an entry of a region's ring.
local function entryOf(region, index)
  local line = call('HGET', POOL, 'i' .. region .. ':' .. text(index))
  local id, place = string.match(line, '^(%S+) (%d+)$')
  return id, tonumber(place)
end

-- First entry of a region's ring that is not before a place; the ring goes round.
local function firstFrom(region, place, length)
  local low, high = 0, length
  while low < high do
    local middle = floor((low + high) / 2)
    local _, there = entryOf(region, middle)
    if there < place then
      low = middle + 1
    else
      high = middle
    end
  end
  return low == length and 0 or low
end

local walkOf

-- Where the whole walk stands is kept as a share of the ring too: a changed pool is walked from there.
local function saveWalk(region, walk)
  set('k' .. VERSION .. ':' .. region, walk.start .. ' ' .. text(walk.cursor) .. ' ' .. text(walk.last) .. ' ' .. walk.length)
  if region == '' and walk.length > 0 then
    set('at', string.format('%.17g', (walk.start + walk.cursor) % walk.length / walk.length))
  end
end

local function newWalk(region)
  local length = sizeOf(region)
  local start = floor(site.where * length)
  if region ~= '' and length > 0 then
    start = firstFrom(region, walkOf('').start, length)
  end
  local walk = { start = start, cursor = 0, last = length, length = length }
  saveWalk(region, walk)
  return walk
end

walkOf = function(region)
  local walk = site.walks[region]
  if walk then
    return walk
  end
  local line = region == '' and site.whole or nil
  if region ~= '' then
    line = call('HGET', SITE, 'k' .. VERSION .. ':' .. region)
  end
  if line then
    local start, cursor, last, length = string.match(line, '^(%d+) (%d+) (%d+) (%d+)$')
    walk = { start = tonumber(start), cursor = tonumber(cursor), last = tonumber(last), length = tonumber(length) }
  else
    walk = newWalk(region)
  end
  site.walks[region] = walk
  return walk
end

-- How far ahead of a walk's cursor an entry of its ring is.
local function ahead(walk, index)
  return (index - walk.start - walk.cursor) % walk.length
end

-- Rank of a place nobody used yet.
local function freshRank(place)
  local walk = walkOf('')
  return walk.cursor + ahead(walk, place) - walk.last
end

-- ---- records of upstreams seen ----------------------------------------------------------------------------------

local records = {}

local function recordOf(id)
  local record = records[id]
  if record ~= nil then
    return record
  end
  local line = call('HGET', SITE, 'u' .. id)
  record = false
  if line then
    local place, ready, banned, used, others = string.match(line, '^(%S+) (%d+) (%d+) (%d+) ?(.*)$')
    record = {
      place = tonumber(place),
      ready = tonumber(ready),
      banned = tonumber(banned),
      used = tonumber(used),
      others = others,
    }
  end
  records[id] = record
  return record
end

local function readyOf(id)
  local record = recordOf(id)
  return record and record.ready or 0
end

local function bannedOf(id)
  local record = recordOf(id)
  return record and record.banned or 0
end

-- A record of nothing but its places.
local function renewed(id)
  local ranks = {}
  for place in string.gmatch(infoOf(id).places, '(%d+):') do
    ranks[#ranks + 1] = freshRank(tonumber(place))
  end
  table.sort(ranks)
  local first = table.remove(ranks, 1)
  for i, rank in ipairs(ranks) do
    ranks[i] = text(rank)
  end
  return { place = first, ready = 0, banned = 0, used = 0, others = table.concat(ranks, ' ') }
end

-- Made when it is the first time.
local function touch(id)
  local record = recordOf(id)
  if not record then
    record = renewed(id)
    records[id] = record
  end
  return record
end

local function rank(key, score, id)
  if call('ZADD', key, text(score), id) == 1 then
    call('PEXPIRE', key, text(max(site.expiry, site.need + SHORT_IDLE + SLACK) - now))
  end
end

local function putIn(id, region, score)
  rank(ORDER, score, id)
  if region == '' then
    return
  end
  rank(orderOf(region), score, id)
  if not string.find(',' .. site.regions, ',' .. region .. ',', 1, true) then
    site.regions = site.regions .. region .. ','
    set('regions', site.regions)
  end
end

-- Somebody barred is to be woken then.
local function wakeAt(at)
  if site.firstBarred == 0 or at < site.firstBarred then
    site.firstBarred = at
    set('barred' .. VERSION, text(at))
  end
end

-- Where an upstream belongs now.
local function scoreOf(id)
  local record = recordOf(id)
  local barred = max(record.banned, downUntil(id))
  if barred > now then
    return BARRED + barred
  end
  return record.ready > now and BUSY + record.ready or record.place
end

local function settle(id)
  local score = scoreOf(id)
  if score >= BARRED then
    wakeAt(score - BARRED)
  end
  putIn(id, infoOf(id).region, score)
end

local function save(id)
  local record = records[id]
  local line = text(record.place) .. ' ' .. text(record.ready) .. ' ' .. text(record.banned) .. ' ' .. text(record.used)
  if record.others ~= '' then
    line = line .. ' ' .. record.others
  end
  set('u' .. id, line)
  settle(id)
end

-- Lets the walks come to an upstream again, last.
local function walkAgain(id)
  local info = infoOf(id)
  call('ZREM', ORDER, id)
  if info.region ~= '' then
    call('ZREM', orderOf(info.region), id)
  end
  for place, index in string.gmatch(info.places, '(%d+):(%d+)') do
    local whole = walkOf('')
    whole.last = max(whole.last, whole.cursor + ahead(whole, tonumber(place)) + 1)
    if info.region ~= '' then
      local walk = walkOf(info.region)
      walk.last = max(walk.last, walk.cursor + ahead(walk, tonumber(index)) + 1)
      saveWalk(info.region, walk)
    end
  end
  saveWalk('', walkOf(''))
end

-- Forgets a few that are idle for so long that only their place is known.
local function forgetSome()
  if call('ZCARD', ORDER) <= REMEMBERED then
    return
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', ORDER, 0, FREE_TOP, 'LIMIT', 0, 4)) do
    local record = recordOf(id)
    if record and record.used + MEMORY < now then
      call('HDEL', SITE, 'u' .. id)
      records[id] = false
      walkAgain(id)
    end
  end
end

-- Wakes those between two scores.
local function wakeIn(key, from, to)
  for _, id in ipairs(call('ZRANGEBYSCORE', key, text(from), text(to), 'LIMIT', 0, LOOK)) do
    if recordOf(id) then
      settle(id)
    else
      walkAgain(id)
    end
  end
end

local function wake(key)
  wakeIn(key, BUSY, BUSY + now)
  if site.firstBarred == 0 or site.firstBarred > now then
    return
  end
  wakeIn(ORDER, BARRED, BARRED + now)
  site.firstBarred = 0
  set('barred' .. VERSION, '0')
  local first = call('ZRANGEBYSCORE', ORDER, text(BARRED), text(TOP), 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if first then
    wakeAt(tonumber(first) - BARRED)
  end
end

-- ---- choosing ---------------------------------------------------------------------------------------------------

-- `spent`: {ids = set, count, rotatingToo}, upstreams a retry must not use again; nil = none.
local function isSpent(id, spent)
  return spent and spent.ids[id] and (spent.rotatingToo or not infoOf(id).rotating)
end

-- The first of a band that is not spent, and its score. Those that do not belong where they stand are put right.
local function firstIn(key, from, to, spent)
  local count = 1 + (spent and spent.count or 0)
  while true do
    local found = call('ZRANGEBYSCORE', key, from, to, 'WITHSCORES', 'LIMIT', 0, count)
    local moved = false
    for i = 1, #found, 2 do
      local id, score = found[i], tonumber(found[i + 1])
      if not recordOf(id) then
        walkAgain(id)
        moved = true
      elseif scoreOf(id) ~= score then
        settle(id)
        moved = true
      elseif not isSpent(id, spent) then
        return id, score
      end
    end
    if not moved then
      return nil
    end
  end
end

-- Calls `look` with the record of each banned upstream that is up and not spent.
local function eachBanned(key, spent, look)
  for _, id in ipairs(call('ZRANGEBYSCORE', key, text(BARRED), text(TOP), 'LIMIT', 0, LOOK)) do
    if infoOf(id) and recordOf(id) and downUntil(id) <= now and not isSpent(id, spent) then
      look(id, recordOf(id))
    end
  end
end

-- Gives an upstream that others have met its place in this order too; its places are new when their number has changed.
local function adopt(id)
  local record = recordOf(id)
  local _, places = string.gsub(infoOf(id).places, ':', '')
  local _, known = string.gsub(record.others, '%S+', '')
  if places ~= known + 1 then
    local fresh = renewed(id)
    record.place, record.others = fresh.place, fresh.others
  end
  save(id)
end

-- The next upstream of a region that this website has not met, unless the known one comes before it. The second answer
-- tells that others were met which somebody else has met: then the known one may not be the first any more.
local function freshFrom(region, known, place, spent)
  local walk = walkOf(region)
  local began, adopted = walk.cursor, false
  local id, at
  while walk.cursor < walk.last do
    id, at = entryOf(region, (walk.start + walk.cursor) % walk.length)
    if not recordOf(id) then
      if downUntil(id) <= now then
        if known and place < freshRank(at) then
          id = known
          break
        end
        if not isSpent(id, spent) then
          break
        end
      end
      touch(id)
      save(id)
    elseif not call('ZSCORE', ORDER, id) then
      adopt(id)
      adopted = true
    end
    id = nil
    walk.cursor = walk.cursor + 1
  end
  if walk.cursor ~= began then
    saveWalk(region, walk)
  end
  return id or known, adopted
end

-- The upstream least recently used by the website among those eligible and free; nil when none is.
local function chooseOnce(region, noBancheck, spent)
  local key = orderOf(region)
  wake(key)
  local known, place = firstIn(key, '-inf', FREE_TOP, spent)
  if noBancheck then
    eachBanned(key, spent, function(id, record)
      if record.ready <= now and (not known or record.place < place) then
        known, place = id, record.place
      end
    end)
  end
  return freshFrom(region, known, place, spent)
end

local function choose(region, noBancheck, spent)
  local id, adopted
  repeat
    id, adopted = chooseOnce(region, noBancheck, spent)
  until not adopted
  return id
end

-- Smallest R of the eligible when `choose` found none free; nil when none is eligible.
local function soonest(region, noBancheck, spent)
  local key = orderOf(region)
  local first, score = firstIn(key, text(BUSY), text(BARRED - 1), spent)
  local at = first and score - BUSY or nil
  if noBancheck then
    eachBanned(key, spent, function(_, record)
      at = min(at or record.ready, record.ready)
    end)
  end
  return at
end

-- Calls `look` with id and end of every down time, soonest first, until it answers true.
local function eachDown(region, look)
  local downs = call('ZRANGEBYSCORE', DOWN, text(now + 1), '+inf', 'WITHSCORES', 'LIMIT', 0, LOOK)
  for i = 1, #downs, 2 do
    local info = infoOf(downs[i])
    if info and (region == '' or info.region == region) and look(downs[i], tonumber(downs[i + 1])) then
      return
    end
  end
end

-- e: how many are up, match and are not banned.
local function countEligible(region, noBancheck)
  local key = orderOf(region)
  local _, count = sizeOf(region)
  if not noBancheck then
    count = count - call('ZCOUNT', key, text(BARRED + now + 1), text(TOP))
  end
  eachDown(region, function(id)
    if noBancheck or tonumber(call('ZSCORE', key, id) or 0) < BARRED then
      count = count - 1
    end
  end)
  return count
end

-- When the first ban or down time ends, for a request nobody can serve; nil when nothing will end.
local function firstRelief(region)
  local first
  eachDown(region, function(id, at)
    if bannedOf(id) <= now then
      first = at
      return true
    end
  end)
  local score = call('ZRANGEBYSCORE', orderOf(region), text(BARRED), text(TOP), 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if score then
    first = min(first or tonumber(score) - BARRED, tonumber(score) - BARRED)
  end
  return first
end

-- Books a dispatch: its oldest place goes to the end of the order, and it is not free before `ready`.
local function book(id, ready)
  local fresh = not recordOf(id)
  local record = touch(id)
  site.turn = site.turn + 1
  set('turn', text(site.turn))
  if record.others == '' then
    record.place = site.turn
  else
    local next, rest = string.match(record.others, '^(%S+) ?(.*)$')
    record.place = tonumber(next)
    record.others = (rest == '' and '' or rest .. ' ') .. text(site.turn)
  end
  record.used = now
  record.ready = max(record.ready, ready)
  needUntil(record.ready)
  save(id)
  if site.watch > now then
    call('ZADD', TAG .. 'served:' .. site.name, text(now), id)
  end
  if fresh then
    forgetSome()
  end
end
