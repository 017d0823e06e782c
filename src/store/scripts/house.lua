-- Seats and sessions.
--   seats              hash: account -> requests in flight
--   sessions:<account> zset: session id -> last use, or RUNNING while a request is in it
--   records:<account>  hash: s<id> -> '<upstream> <region> <running> <name>', n<name> -> id; upstream '' = in the making
--   hosts:<region>     zset: upstream -> HOSTED * live sessions + number of the last session it was given
local SEATS, GIVEN = TAG .. 'seats', TAG .. 'given'
local RUNNING = 9e15
local HOSTED = 1e10
-- Never given ones begin below zero, in the order of the pool.
local NEVER_GIVEN = 1e6
local idleMs = 0

local function sessionsOf(account)
  return TAG .. 'sessions:' .. account
end

local function recordsOf(account)
  return TAG .. 'records:' .. account
end

local function host(id, region, by)
  call('ZADD', TAG .. 'hosts:', 'XX', 'INCR', text(by * HOSTED), id)
  if region ~= '' then
    call('ZADD', TAG .. 'hosts:' .. region, 'XX', 'INCR', text(by * HOSTED), id)
  end
end

-- Notes that it was given a session last (S-12).
local function giveTo(id, region)
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

local function readSession(account, id)
  if id == '' then
    return nil
  end
  local line = call('HGET', recordsOf(account), 's' .. id)
  if not line then
    return nil
  end
  local exit, region, running, name = string.match(line, '^(%S*) (%l*) (%d+) (.*)$')
  return { id = id, exit = exit, region = region, running = tonumber(running), name = name }
end

local function keep(account, one)
  local sessions, records = sessionsOf(account), recordsOf(account)
  call('HSET', records, 's' .. one.id, one.exit .. ' ' .. one.region .. ' ' .. one.running .. ' ' .. one.name)
  call('ZADD', sessions, one.running > 0 and text(RUNNING) or text(one.lastUse or now), one.id)
  call('PEXPIRE', sessions, text(idleMs + DAY))
  call('PEXPIRE', records, text(idleMs + DAY))
end

local function finish(account, one)
  local records = recordsOf(account)
  call('ZREM', sessionsOf(account), one.id)
  call('HDEL', records, 's' .. one.id)
  call('DEL', TAG .. 'jar:s' .. one.id .. ':' .. account)
  if one.name ~= '' and call('HGET', records, 'n' .. one.name) == one.id then
    call('HDEL', records, 'n' .. one.name)
  end
  if one.exit ~= '' then
    host(one.exit, one.region, -1)
  end
end

-- Ends what was idle for too long (S-11).
local function expire(account)
  local over = call('ZRANGEBYSCORE', sessionsOf(account), '-inf', text(now - idleMs))
  for _, id in ipairs(over) do
    local one = readSession(account, id)
    if one then
      finish(account, one)
    else
      call('ZREM', sessionsOf(account), id)
    end
  end
end

local function isGone(one)
  return one.exit ~= '' and not infoOf(one.exit)
end

-- Whether the account has its maximum; once a pool, those whose upstream is gone stop counting (S-10, S-18).
local function isFull(account, most)
  local sessions, records = sessionsOf(account), recordsOf(account)
  if call('ZCARD', sessions) < most then
    return false
  end
  if call('HGET', records, 'v') == VERSION then
    return true
  end
  call('HSET', records, 'v', VERSION)
  for _, id in ipairs(call('ZRANGE', sessions, 0, -1)) do
    local one = readSession(account, id)
    if one and isGone(one) then
      finish(account, one)
    end
  end
  return call('ZCARD', sessions) >= most
end

-- A session that is live for this pool.
local function knownSession(account, id)
  local one = readSession(account, id)
  if one and isGone(one) then
    return nil
  end
  return one
end

-- The session of a request that has one already.
local function sessionIn(ask, id)
  return knownSession(ask.account, id)
end

local function named(account, name)
  local id = call('HGET', recordsOf(account), 'n' .. name)
  local one = id and readSession(account, id) or nil
  if one and isGone(one) then
    finish(account, one)
    return nil
  end
  return one
end

-- The session an ask means (H-07): it, or nil when one is to be made or none was asked for, or nil and a refusal.
local function lookUp(ask)
  if ask.by == '' then
    return nil
  end
  expire(ask.account)
  if ask.by == 'id' then
    local one = knownSession(ask.account, ask.value)
    if one and one.exit ~= '' then
      return one
    end
    return nil, refuse('bad_session_id', ask.value)
  end
  local one = ask.by == 'name' and named(ask.account, ask.value) or nil
  if not one and isFull(ask.account, ask.maxSessions) then
    return nil, refuse('user_session_limit')
  end
  return one
end

-- Makes one for an ask; without upstream it is in the making, reserved for those who wait.
local function makeSession(account, id, name, exit)
  local records = recordsOf(account)
  while call('HEXISTS', records, 's' .. id) == 1 do
    id = text(tonumber(id) + 1)
  end
  local info = exit ~= '' and infoOf(exit) or nil
  local one = { id = id, exit = exit, region = info and info.region or '', running = 0, name = name }
  keep(account, one)
  if name ~= '' then
    call('HSET', records, 'n' .. name, id)
  end
  if info then
    host(exit, one.region, 1)
    giveTo(exit, one.region)
  end
  return one
end

local function bind(one, exit)
  if one.exit == exit then
    return
  end
  if one.exit ~= '' then
    host(one.exit, one.region, -1)
  end
  one.exit = exit
  one.region = infoOf(exit).region
  host(exit, one.region, 1)
end

local function nameOf(ask)
  return ask.by == 'name' and ask.value or ''
end

local function enterSession(account, one)
  one.running = one.running + 1
  keep(account, one)
  take('r' .. SEP .. account .. SEP .. one.id)
end

-- The end of so many requests in a session: one that is still in the making ends with them (S-11, S-13).
local function leaveSession(account, one, count)
  one.running = max(0, one.running - count)
  if one.running == 0 and one.exit == '' then
    finish(account, one)
  else
    keep(account, one)
  end
end

local function seatsOf(account)
  return tonumber(call('HGET', SEATS, account) or 0)
end

local function freeSeats(account, count)
  if call('HINCRBY', SEATS, account, -count) <= 0 then
    call('HDEL', SEATS, account)
  end
end

-- Session before seat before overload (H-07): the session, or nil, or nil and a refusal.
local function knock(ask, overloaded)
  local one, refusal = lookUp(ask)
  if refusal then
    return nil, refusal
  end
  local shown = one and one.exit ~= '' and one.id or nil
  if ask.maxConnections and seatsOf(ask.account) >= ask.maxConnections then
    return nil, refuse('too_many_conns', shown)
  end
  if overloaded then
    return nil, refuse('serverbusy', shown, 5000)
  end
  return one
end

local function seat(account)
  call('HINCRBY', SEATS, account, 1)
  take('s' .. SEP .. account)
end

-- The session of a waiting or repeated request by now; a named one that ended is made anew with its turn (U-11).
local function sessionOfWish(ask, id, first)
  if ask.by == '' then
    return nil
  end
  local one = knownSession(ask.account, id)
  if one then
    return one
  end
  if ask.by ~= 'name' or not first then
    return nil, refuse('bad_session_id', id)
  end
  return lookUp(ask)
end

-- A dispatched request gets its session: made, or bound to the upstream it goes through. Answers its id.
local function bringToLife(ask, one, exit)
  if not one then
    return makeSession(ask.account, ask.newId, nameOf(ask), exit)
  end
  bind(one, exit)
  keep(ask.account, one)
  return one
end
