-- Bans and ban storms of one website (A-09, A-09b, A-13, S-14). Beside the site:
--   storm:<website>:<rule>  zset: upstream -> when the rule banned it
--   served:<website>        zset: upstream -> last use; kept while there are bans
-- and in site:<website>, storm:<rule> -> end of a storm.
local bans = {}
local STORM = 60000
local LEAST_SERVED = 5

-- Notes a hit; true while the storm lasts, which every hit prolongs.
function bans.inStorm(rule)
  local over = tonumber(call('HGET', SITE, 'storm:' .. rule) or 0)
  if over <= now then
    return false
  end
  order.set('storm:' .. rule, text(now + STORM))
  order.needUntil(now + STORM)
  return true
end

-- Upstreams that served the website within the last minute.
function bans.countServed()
  local key = TAG .. 'served:' .. site.name
  if site.watch <= now then
    local fields = call('HGETALL', SITE)
    for i = 1, #fields, 2 do
      local id = string.match(fields[i], '^u(.+)$')
      local used = id and tonumber(string.match(fields[i + 1], '^%S+ %d+ %d+ (%d+)'))
      if used and used > now - STORM then
        call('ZADD', key, text(used), id)
      end
    end
  end
  site.watch = now + STORM
  order.set('watch', text(site.watch))
  call('ZREMRANGEBYSCORE', key, '-inf', text(now - STORM))
  call('PEXPIRE', key, text(2 * STORM))
  return call('ZCARD', key)
end

-- Notes a ban the rule has set; true when that begins a storm.
function bans.noteBan(rule, id)
  local key = TAG .. 'storm:' .. site.name .. ':' .. rule
  local served = bans.countServed()
  call('ZADD', key, text(now), id)
  call('ZREMRANGEBYSCORE', key, '-inf', text(now - STORM))
  call('PEXPIRE', key, text(2 * STORM))
  if served < LEAST_SERVED or call('ZCARD', key) * 2 <= served then
    return false
  end
  order.set('storm:' .. rule, text(now + STORM))
  order.needUntil(now + STORM)
  call('DEL', key)
  return true
end

-- Records the ban; `session` is the id of the one it happened in, or nil. True when it begins a storm.
function bans.recordBan(account, session, id, rule, untilMs)
  local function forSession()
    if session then
      pacing.remember(TAG .. 'own:' .. site.name, account .. SEP .. session .. SEP .. id, untilMs)
    end
    return false
  end
  if base.infoOf(id).rotating then
    return forSession()
  end
  if bans.inStorm(rule) then
    return false
  end
  order.wake(ORDER)
  local itself = (order.bannedOf(id) <= now and base.downUntil(id) <= now) and 1 or 0
  if order.countEligible('', false) - itself < 1 then
    return forSession()
  end
  local record = order.touch(id)
  record.banned = max(record.banned, untilMs)
  order.needUntil(record.banned)
  order.save(id)
  return bans.noteBan(rule, id)
end
