-- Which upstream serves a request without session, who could, and when; the booking of a dispatch. More of `order`.

-- `spent`: {ids = set, count, rotatingToo}, upstreams a retry must not use again; nil = none.
function order.isSpent(id, spent)
  return spent and spent.ids[id] and (spent.rotatingToo or not base.infoOf(id).rotating)
end

-- The first of a band that is not spent, and its score. Those that do not belong where they stand are put right.
function order.firstIn(key, from, to, spent)
  local count = 1 + (spent and spent.count or 0)
  while true do
    local found = call('ZRANGEBYSCORE', key, from, to, 'WITHSCORES', 'LIMIT', 0, count)
    local moved = false
    for i = 1, #found, 2 do
      local id, score = found[i], tonumber(found[i + 1])
      if not order.recordOf(id) then
        order.walkAgain(id)
        moved = true
      elseif order.scoreOf(id) ~= score then
        order.settle(id)
        moved = true
      elseif not order.isSpent(id, spent) then
        return id, score
      end
    end
    if not moved then
      return nil
    end
  end
end

-- Calls `look` with the record of each banned upstream that is up and not spent.
function order.eachBanned(key, spent, look)
  for _, id in ipairs(call('ZRANGEBYSCORE', key, text(BARRED), text(TOP), 'LIMIT', 0, LOOK)) do
    if base.infoOf(id) and order.recordOf(id) and base.downUntil(id) <= now and not order.isSpent(id, spent) then
      look(id, order.recordOf(id))
    end
  end
end

-- Gives an upstream that others have met its place in this order too; its places are new when their number has changed.
function order.adopt(id)
  local record = order.recordOf(id)
  local _, places = string.gsub(base.infoOf(id).places, ':', '')
  local _, known = string.gsub(record.others, '%S+', '')
  if places ~= known + 1 then
    local fresh = order.renewed(id)
    record.place, record.others = fresh.place, fresh.others
  end
  order.save(id)
end

-- The next upstream of a region that this website has not met, unless the known one comes before it. The second answer
-- tells that others were met which somebody else has met: then the known one may not be the first any more.
function order.freshFrom(region, known, place, spent)
  local walk = order.walkOf(region)
  local began, adopted = walk.cursor, false
  local id, at
  while walk.cursor < walk.last do
    id, at = order.entryOf(region, (walk.start + walk.cursor) % walk.length)
    if not order.recordOf(id) then
      if base.downUntil(id) <= now then
        if known and place < order.freshRank(at) then
          id = known
          break
        end
        if not order.isSpent(id, spent) then
          break
        end
      end
      order.touch(id)
      order.save(id)
    elseif not call('ZSCORE', ORDER, id) then
      order.adopt(id)
      adopted = true
    end
    id = nil
    walk.cursor = walk.cursor + 1
  end
  if walk.cursor ~= began then
    order.saveWalk(region, walk)
  end
  return id or known, adopted
end

-- The upstream least recently used by the website among those eligible and free; nil when none is.
function order.chooseOnce(region, noBancheck, spent)
  local key = order.orderOf(region)
  order.wake(key)
  local known, place = order.firstIn(key, '-inf', FREE_TOP, spent)
  if noBancheck then
    order.eachBanned(key, spent, function(id, record)
      if record.ready <= now and (not known or record.place < place) then
        known, place = id, record.place
      end
    end)
  end
  return order.freshFrom(region, known, place, spent)
end

function order.choose(region, noBancheck, spent)
  local id, adopted
  repeat
    id, adopted = order.chooseOnce(region, noBancheck, spent)
  until not adopted
  return id
end

-- Smallest R of the eligible when `choose` found none free; nil when none is eligible.
function order.soonest(region, noBancheck, spent)
  local key = order.orderOf(region)
  local first, score = order.firstIn(key, text(BUSY), text(BARRED - 1), spent)
  local at = first and score - BUSY or nil
  if noBancheck then
    order.eachBanned(key, spent, function(_, record)
      at = min(at or record.ready, record.ready)
    end)
  end
  return at
end

-- Calls `look` with id and end of every down time, soonest first, until it answers true.
function order.eachDown(region, look)
  local downs = call('ZRANGEBYSCORE', DOWN, text(now + 1), '+inf', 'WITHSCORES', 'LIMIT', 0, LOOK)
  for i = 1, #downs, 2 do
    local info = base.infoOf(downs[i])
    if info and (region == '' or info.region == region) and look(downs[i], tonumber(downs[i + 1])) then
      return
    end
  end
end

-- e: how many are up, match and are not banned.
function order.countEligible(region, noBancheck)
  local key = order.orderOf(region)
  local _, count = base.sizeOf(region)
  if not noBancheck then
    count = count - call('ZCOUNT', key, text(BARRED + now + 1), text(TOP))
  end
  order.eachDown(region, function(id)
    if noBancheck or tonumber(call('ZSCORE', key, id) or 0) < BARRED then
      count = count - 1
    end
  end)
  return count
end

-- When the first ban or down time ends, for a request nobody can serve; nil when nothing will end.
function order.firstRelief(region)
  local first
  order.eachDown(region, function(id, at)
    if order.bannedOf(id) <= now then
      first = at
      return true
    end
  end)
  local score = call('ZRANGEBYSCORE', order.orderOf(region), text(BARRED), text(TOP), 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if score then
    first = min(first or tonumber(score) - BARRED, tonumber(score) - BARRED)
  end
  return first
end

-- Books a dispatch: its oldest place goes to the end of the order, and it is not free before `ready`.
function order.book(id, ready)
  local fresh = not order.recordOf(id)
  local record = order.touch(id)
  site.turn = site.turn + 1
  order.set('turn', text(site.turn))
  if record.others == '' then
    record.place = site.turn
  else
    local next, rest = string.match(record.others, '^(%S+) ?(.*)$')
    record.place = tonumber(next)
    record.others = (rest == '' and '' or rest .. ' ') .. text(site.turn)
  end
  record.used = now
  record.ready = max(record.ready, ready)
  order.needUntil(record.ready)
  order.save(id)
  if site.watch > now then
    call('ZADD', TAG .. 'served:' .. site.name, text(now), id)
  end
  if fresh then
    order.forgetSome()
  end
end
