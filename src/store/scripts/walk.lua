-- Walks over the pool's ring of places: how a website comes to upstreams it has not met yet. More of `order`.

-- Id and place of an entry of a region's ring.
function order.entryOf(region, index)
  local line = call('HGET', POOL, 'i' .. region .. ':' .. text(index))
  local id, place = string.match(line, '^(%S+) (%d+)$')
  return id, tonumber(place)
end

-- First entry of a region's ring that is not before a place; the ring goes round.
function order.firstFrom(region, place, length)
  local low, high = 0, length
  while low < high do
    local middle = floor((low + high) / 2)
    local _, there = order.entryOf(region, middle)
    if there < place then
      low = middle + 1
    else
      high = middle
    end
  end
  return low == length and 0 or low
end

-- Where the whole walk stands is kept as a share of the ring too: a changed pool is walked from there.
function order.saveWalk(region, walk)
  order.set('k' .. VERSION .. ':' .. region, walk.start .. ' ' .. text(walk.cursor) .. ' ' .. text(walk.last) .. ' ' .. walk.length)
  if region == '' and walk.length > 0 then
    order.set('at', string.format('%.17g', (walk.start + walk.cursor) % walk.length / walk.length))
  end
end

-- Forgets the upstreams of an order that are in no pool any more and that nothing has to be remembered of.
function order.forgetGone(key)
  for _, id in ipairs(call('ZRANGE', key, 0, -1)) do
    local record = order.recordOf(id)
    if record and not base.infoOf(id) and max(record.used + MEMORY, record.ready, record.banned) < now then
      call('HDEL', SITE, 'u' .. id)
    end
  end
end

-- Notes the pool version as one this website knows, and drops the oldest beyond a few: order, walks, times.
function order.meetVersion()
  local versions = { VERSION }
  for version in string.gmatch(call('HGET', SITE, 'versions') or '', '%x+') do
    versions[#versions + 1] = version
  end
  local old = table.remove(versions, VERSIONS + 1)
  order.set('versions', table.concat(versions, ' '))
  if not old then
    return
  end
  call('HDEL', SITE, 'until' .. old, 'barred' .. old)
  order.forgetGone(TAG .. 'order:' .. old .. '::' .. site.name)
  for region in string.gmatch(site.regions .. ',', '(%l*),') do
    call('HDEL', SITE, 'k' .. old .. ':' .. region)
    call('DEL', TAG .. 'order:' .. old .. ':' .. region .. ':' .. site.name)
  end
end

function order.newWalk(region)
  if region == '' then
    order.meetVersion()
  end
  local length = base.sizeOf(region)
  local start = floor(site.where * length)
  if region ~= '' and length > 0 then
    start = order.firstFrom(region, order.walkOf('').start, length)
  end
  local walk = { start = start, cursor = 0, last = length, length = length }
  order.saveWalk(region, walk)
  return walk
end

function order.walkOf(region)
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
    walk = order.newWalk(region)
  end
  site.walks[region] = walk
  return walk
end

-- How far ahead of a walk's cursor an entry of its ring is.
function order.ahead(walk, index)
  return (index - walk.start - walk.cursor) % walk.length
end

-- Rank of a place nobody used yet.
function order.freshRank(place)
  local walk = order.walkOf('')
  return walk.cursor + order.ahead(walk, place) - walk.last
end
