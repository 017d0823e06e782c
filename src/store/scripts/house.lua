-- Seats and sessions.
--   seats              hash: account -> requests in flight
--   sessions:<account> zset: session id -> last use, or RUNNING while a request is in it
--   records:<account>  hash: s<id> -> '<upstream> <region> <running> <name>', n<name> -> id; upstream '' = in the making
--   hosts:<region>     zset: upstream -> HOSTED * live sessions + number of the last session it was given
local house = {}
local SEATS, GIVEN = TAG .. 'seats', TAG .. 'given'
local RUNNING = 9e15
local HOSTED = 1e10
-- Never given ones begin below zero, in the order of the pool.
local NEVER_GIVEN = 1e6
local idleMs = 0

function house.sessionsOf(account)
  return TAG .. 'sessions:' .. account
end

function house.recordsOf(account)
  return TAG .. 'records:' .. account
end

function house.host(id, region, by)
  call('ZADD', TAG .. 'hosts:', 'XX', 'INCR', text(by * HOSTED), id)
  if region ~= '' then
    call('ZADD', TAG .. 'hosts:' .. region, 'XX', 'INCR', text(by * HOSTED), id)
  end
end

-- Notes that it was given a session last (S-12).
function house.giveTo(id, region)
  local score = call('ZSCORE', TAG .. 'hosts:', id)
  if not score then
    return
  end
  local sessions = floor((tonumber(score) + NEVER_GIVEN) / HOSTED)
  local mark = text(sessions * HOSTED + call('INCR', GIVEN))
  call('ZADD', TAG .. 'hosts:', mark, id)
  if region ~= '' then
    call('ZADD', TAG .. 'hosts:' .. region, mark, id)
  end
end

function house.readSession(account, id)
  if id == '' then
    return nil
  end
  local line = call('HGET', house.recordsOf(account), 's' .. id)
  if not line then
    return nil
  end
  local exit, region, running, name = string.match(line, '^(%S*) (%l*) (%d+) (.*)$')
  return { id = id, exit = exit, region = region, running = tonumber(running), name = name }
end

function house.keep(account, one)
  local sessions, records = house.sessionsOf(account), house.recordsOf(account)
  call('HSET', records, 's' .. one.id, one.exit .. ' ' .. one.region .. ' ' .. one.running .. ' ' .. one.name)
  call('ZADD', sessions, one.running > 0 and text(RUNNING) or text(one.lastUse or now), one.id)
  call('PEXPIRE', sessions, text(idleMs + DAY))
  call('PEXPIRE', records, text(idleMs + DAY))
end

function house.finish(account, one)
  local records = house.recordsOf(account)
  call('ZREM', house.sessionsOf(account), one.id)
  call('HDEL', records, 's' .. one.id)
  call('DEL', TAG .. 'jar:s' .. one.id .. ':' .. account)
  if one.name ~= '' and call('HGET', records, 'n' .. one.name) == one.id then
    call('HDEL', records, 'n' .. one.name)
  end
  if one.exit ~= '' then
    house.host(one.exit, one.region, -1)
  end
end

-- Ends what was idle for too long (S-11).
function house.expire(account)
  local over = call('ZRANGEBYSCORE', house.sessionsOf(account), '-inf', text(now - idleMs))
  for _, id in ipairs(over) do
    local one = house.readSession(account, id)
    if one then
      house.finish(account, one)
    else
      call('ZREM', house.sessionsOf(account), id)
    end
  end
end

function house.isGone(one)
  return one.exit ~= '' and not base.infoOf(one.exit)
end

-- Whether the account has its maximum; once a pool, those whose upstream is gone stop counting (S-10, S-18).
function house.isFull(account, most)
  local sessions, records = house.sessionsOf(account), house.recordsOf(account)
  if call('ZCARD', sessions) < most then
    return false
  end
  if call('HGET', records, 'v') == VERSION then
    return true
  end
  call('HSET', records, 'v', VERSION)
  for _, id in ipairs(call('ZRANGE', sessions, 0, -1)) do
    local one = house.readSession(account, id)
    if one and house.isGone(one) then
      house.finish(account, one)
    end
  end
  return call('ZCARD', sessions) >= most
end

-- A session that is live for this pool.
function house.knownSession(account, id)
  local one = house.readSession(account, id)
  if one and house.isGone(one) then
    return nil
  end
  return one
end

-- The session of a request that has one already.
function house.sessionIn(ask, id)
  return house.knownSession(ask.account, id)
end

function house.named(account, name)
  local id = call('HGET', house.recordsOf(account), 'n' .. name)
  local one = id and house.readSession(account, id) or nil
  if one and house.isGone(one) then
    house.finish(account, one)
    return nil
  end
  return one
end

-- The session an ask means (H-07): it, or nil when one is to be made or none was asked for, or nil and a refusal.
function house.lookUp(ask)
  if ask.by == '' then
    return nil
  end
  house.expire(ask.account)
  if ask.by == 'id' then
    local one = house.knownSession(ask.account, ask.value)
    if one and one.exit ~= '' then
      return one
    end
    return nil, base.refuse('bad_session_id', ask.value)
  end
  local one = ask.by == 'name' and house.named(ask.account, ask.value) or nil
  if not one and house.isFull(ask.account, ask.maxSessions) then
    return nil, base.refuse('user_session_limit')
  end
  return one
end

-- Makes one for an ask; without upstream it is in the making, reserved for those who wait.
function house.makeSession(account, id, name, exit)
  local records = house.recordsOf(account)
  while call('HEXISTS', records, 's' .. id) == 1 do
    id = text(tonumber(id) + 1)
  end
  local info = exit ~= '' and base.infoOf(exit) or nil
  local one = { id = id, exit = exit, region = info and info.region or '', running = 0, name = name }
  house.keep(account, one)
  if name ~= '' then
    call('HSET', records, 'n' .. name, id)
  end
  if info then
    house.host(exit, one.region, 1)
    house.giveTo(exit, one.region)
  end
  return one
end

function house.bind(one, exit)
  if one.exit == exit then
    return
  end
  if one.exit ~= '' then
    house.host(one.exit, one.region, -1)
  end
  one.exit = exit
  one.region = base.infoOf(exit).region
  house.host(exit, one.region, 1)
end

function house.nameOf(ask)
  return ask.by == 'name' and ask.value or ''
end

function house.enterSession(account, one)
  one.running = one.running + 1
  house.keep(account, one)
  base.take('r' .. SEP .. account .. SEP .. one.id)
end

-- The end of so many requests in a session: one that is still in the making ends with them (S-11, S-13).
function house.leaveSession(account, one, count)
  one.running = max(0, one.running - count)
  if one.running == 0 and one.exit == '' then
    house.finish(account, one)
  else
    house.keep(account, one)
  end
end
