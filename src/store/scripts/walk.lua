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

function order.newWalk(region)
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
