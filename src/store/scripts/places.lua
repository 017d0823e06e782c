-- What a website knows of the upstreams it has met, and where each stands in its order. More of `order`.
local records = {}

function order.recordOf(id)
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

function order.readyOf(id)
  local record = order.recordOf(id)
  return record and record.ready or 0
end

function order.bannedOf(id)
  local record = order.recordOf(id)
  return record and record.banned or 0
end

-- A record of nothing but its places.
function order.renewed(id)
  local ranks = {}
  for place in string.gmatch(base.infoOf(id).places, '(%d+):') do
    ranks[#ranks + 1] = order.freshRank(tonumber(place))
  end
  table.sort(ranks)
  local first = table.remove(ranks, 1)
  for i, rank in ipairs(ranks) do
    ranks[i] = text(rank)
  end
  return { place = first, ready = 0, banned = 0, used = 0, others = table.concat(ranks, ' ') }
end

-- Made when it is the first time.
function order.touch(id)
  local record = order.recordOf(id)
  if not record then
    record = order.renewed(id)
    records[id] = record
  end
  return record
end

function order.rank(key, score, id)
  if call('ZADD', key, text(score), id) == 1 then
    call('PEXPIRE', key, text(max(site.expiry, site.need + SHORT_IDLE + SLACK) - now))
  end
end

function order.putIn(id, region, score)
  order.rank(ORDER, score, id)
  if region == '' then
    return
  end
  order.rank(order.orderOf(region), score, id)
  if not string.find(',' .. site.regions, ',' .. region .. ',', 1, true) then
    site.regions = site.regions .. region .. ','
    order.set('regions', site.regions)
  end
end

-- Somebody barred is to be woken then.
function order.wakeAt(at)
  if site.firstBarred == 0 or at < site.firstBarred then
    site.firstBarred = at
    order.set('barred' .. VERSION, text(at))
  end
end

-- Where an upstream belongs now.
function order.scoreOf(id)
  local record = order.recordOf(id)
  local barred = max(record.banned, base.downUntil(id))
  if barred > now then
    return BARRED + barred
  end
  return record.ready > now and BUSY + record.ready or record.place
end

function order.settle(id)
  local score = order.scoreOf(id)
  if score >= BARRED then
    order.wakeAt(score - BARRED)
  end
  order.putIn(id, base.infoOf(id).region, score)
end

function order.save(id)
  local record = records[id]
  local line = text(record.place) .. ' ' .. text(record.ready) .. ' ' .. text(record.banned) .. ' ' .. text(record.used)
  if record.others ~= '' then
    line = line .. ' ' .. record.others
  end
  order.set('u' .. id, line)
  order.settle(id)
end

-- Lets the walks come to an upstream again, last.
function order.walkAgain(id)
  local info = base.infoOf(id)
  call('ZREM', ORDER, id)
  if info.region ~= '' then
    call('ZREM', order.orderOf(info.region), id)
  end
  for place, index in string.gmatch(info.places, '(%d+):(%d+)') do
    local whole = order.walkOf('')
    whole.last = max(whole.last, whole.cursor + order.ahead(whole, tonumber(place)) + 1)
    if info.region ~= '' then
      local walk = order.walkOf(info.region)
      walk.last = max(walk.last, walk.cursor + order.ahead(walk, tonumber(index)) + 1)
      order.saveWalk(info.region, walk)
    end
  end
  order.saveWalk('', order.walkOf(''))
end

-- Forgets a few that are idle for so long that only their place is known.
function order.forgetSome()
  if call('ZCARD', ORDER) <= REMEMBERED then
    return
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', ORDER, 0, FREE_TOP, 'LIMIT', 0, 4)) do
    local record = order.recordOf(id)
    if record and record.used + MEMORY < now then
      call('HDEL', SITE, 'u' .. id)
      records[id] = false
      order.walkAgain(id)
    end
  end
end

-- Wakes those between two scores.
function order.wakeIn(key, from, to)
  for _, id in ipairs(call('ZRANGEBYSCORE', key, text(from), text(to), 'LIMIT', 0, LOOK)) do
    if order.recordOf(id) then
      order.settle(id)
    else
      order.walkAgain(id)
    end
  end
end

function order.wake(key)
  order.wakeIn(key, BUSY, BUSY + now)
  if site.firstBarred == 0 or site.firstBarred > now then
    return
  end
  order.wakeIn(ORDER, BARRED, BARRED + now)
  site.firstBarred = 0
  order.set('barred' .. VERSION, '0')
  local first = call('ZRANGEBYSCORE', ORDER, text(BARRED), text(TOP), 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if first then
    order.wakeAt(tonumber(first) - BARRED)
  end
end
