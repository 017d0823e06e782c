-- Delays, ways and dispatches of one website (P-01 to P-03, P-07, S-14, S-18, A-13). Fields of site:<website>:
--   G<account>                       no turn of the account before
--   W<account>                       requests waiting, in all
--   w<account> SEP <what for>        those waiting for a session's slave, '' = for any
-- and beside it
--   own:<website>    zset: <account> SEP <session> SEP <upstream> -> end of a ban only the session remembers
--   paced:<website>  zset: <account> SEP <session> -> R of a rotating upstream, which is the session's alone
local pacing = {}
local paces = {}

-- The site whose cookies a grant brings along; '' where jars are on another node.
local cookieSite = ''

function pacing.paceOf(account)
  local pace = paces[account]
  if not pace then
    local known = call('HMGET', SITE, 'G' .. account, 'W' .. account)
    pace = { ready = tonumber(known[1] or 0), waiting = tonumber(known[2] or 0) }
    paces[account] = pace
  end
  return pace
end

function pacing.waitingFor(account, waitsFor)
  return tonumber(call('HGET', SITE, 'w' .. account .. SEP .. waitsFor) or 0)
end

function pacing.heldField(account, waitsFor)
  return 'w' .. SEP .. site.name .. SEP .. account .. SEP .. waitsFor
end

-- Adds to W; `name` is the website.
function pacing.addWaiting(name, account, waitsFor, count)
  local key = TAG .. 'site:' .. name
  for _, field in ipairs({ 'W' .. account, 'w' .. account .. SEP .. waitsFor }) do
    if call('HINCRBY', key, field, count) <= 0 then
      call('HDEL', key, field)
    end
  end
end

function pacing.countIn(account, waitsFor)
  pacing.addWaiting(site.name, account, waitsFor, 1)
  base.take(pacing.heldField(account, waitsFor))
end

function pacing.countOut(account, waitsFor)
  if base.give(pacing.heldField(account, waitsFor)) then
    pacing.addWaiting(site.name, account, waitsFor, -1)
  end
end

function pacing.ownBan(account, session, exit)
  return tonumber(call('ZSCORE', TAG .. 'own:' .. site.name, account .. SEP .. session .. SEP .. exit) or 0)
end

-- Milliseconds a session's slave is still banned for the website (S-14).
function pacing.banLeft(account, session, exit)
  return max(0, pacing.ownBan(account, session, exit) - now, order.bannedOf(exit) - now)
end

-- Adds to one of the zsets beside the site, dropping what is over.
function pacing.remember(key, member, at)
  call('ZREMRANGEBYSCORE', key, '-inf', text(now))
  call('ZADD', key, text(at), member)
  call('PEXPIRE', key, text(at - now + SHORT_IDLE))
end

function pacing.reliefIn(ask)
  local at = order.firstRelief(ask.region)
  return base.retryAfter(at and at - now or 600000)
end

-- A way: {exit = free now, ready = smallest R, waitsFor, session}; or nil and a refusal.
function pacing.sessionWay(ask, session)
  local exit = session.exit
  local left = ask.noBancheck and 0 or pacing.banLeft(ask.account, session.id, exit)
  if left > 0 then
    return nil, base.refuse('slavebanned', session.id, base.retryAfter(left))
  end
  local down = base.downUntil(exit)
  if down > now then
    return nil, base.refuse('noslaves', session.id, base.retryAfter(down - now))
  end
  local rotating = base.infoOf(exit).rotating
  local ready
  if rotating then
    ready = tonumber(call('ZSCORE', TAG .. 'paced:' .. site.name, ask.account .. SEP .. session.id) or 0)
  else
    ready = order.readyOf(exit)
  end
  return {
    exit = ready <= now and exit or nil,
    ready = ready,
    waitsFor = rotating and 'session:' .. session.id or exit,
    session = session,
  }
end

function pacing.anyWay(ask, spent)
  local exit = order.choose(ask.region, ask.noBancheck, spent)
  local ready = exit and now or order.soonest(ask.region, ask.noBancheck, spent)
  return ready and { exit = exit, ready = ready, waitsFor = '' } or nil
end

-- `session`: {id, exit} or nil. Making ones may rotate (S-12).
function pacing.routeOf(ask, session, making, spent)
  if session and session.exit ~= '' and not making then
    return pacing.sessionWay(ask, session)
  end
  local way = pacing.anyWay(ask, spent)
  if way then
    return way
  end
  return nil, base.refuse('noslaves', making and session and session.id or nil, pacing.reliefIn(ask))
end

-- P-01.2.
function pacing.delayOf(ask, way)
  local pace = pacing.paceOf(ask.account)
  if way.exit and pace.waiting == 0 and pace.ready <= now then
    return 0
  end
  local here = pacing.waitingFor(ask.account, way.waitsFor)
  local eligible = 1
  if here > 0 and not way.session then
    eligible = max(1, order.countEligible(ask.region, ask.noBancheck))
  end
  local bySite = max(now, pace.ready) + pace.waiting * ask.siteDelay
  local bySlave = max(now, way.ready) + here * ask.slaveDelay / eligible
  return ceil(max(bySite, bySlave) - now)
end

-- P-03: books G and R when the turn has come. `id`: of the session the request belongs to from now on, or nil.
function pacing.dispatch(ask, way, id)
  local pace = pacing.paceOf(ask.account)
  if not way.exit or pace.ready > now then
    return false
  end
  pace.ready = max(pace.ready, now + ask.siteDelay)
  order.set('G' .. ask.account, text(pace.ready))
  order.needUntil(pace.ready)
  local ready = now + ask.slaveDelay
  local rotating = base.infoOf(way.exit).rotating
  order.book(way.exit, rotating and 0 or ready)
  if rotating and id then
    pacing.remember(TAG .. 'paced:' .. site.name, ask.account .. SEP .. id, ready)
  end
  return true
end

-- What a granted request's cookie jar holds, so that nobody has to ask for it: '' = no jar, ' ' = nothing of this site.
-- Looking is no use of the jar: see `cookies`, which says what is kept.
function pacing.jarOf(account, exit, id)
  if cookieSite == '' or (not id and base.infoOf(exit).rotating) then
    return nil
  end
  local known = call('HMGET', TAG .. 'jar:' .. (id and 's' .. id or 'u' .. exit) .. ':' .. account, '', cookieSite)
  if not known[1] or (not id and tonumber(known[1]) <= now) then
    return ''
  end
  return known[2] or ' '
end

function pacing.go(account, exit, id, making)
  return { 'go', exit, id or '', making and '1' or '', pacing.jarOf(account, exit, id) }
end

function pacing.wait(delay, way, ask, id)
  local turnIn = max(0, pacing.paceOf(ask.account).ready - now, way.ready - now)
  return { 'wait', text(delay), text(turnIn), way.waitsFor, id or '', text(came) }
end

-- The delay a new request would get, or until somebody can serve it (E-09).
function pacing.outlook(ask, session)
  local way, refusal = pacing.routeOf(ask, session, false, nil)
  if way then
    return base.retryAfter(pacing.delayOf(ask, way))
  end
  return tonumber(refusal[4])
end

-- P-03 and P-07 for one waiting or repeated request: its way, nil and a refusal when it has none any more.
function pacing.wayOfWish(ask, session, making, spent, mayRepeat)
  local way, refusal = pacing.routeOf(ask, session, making, spent)
  if not way and spent and mayRepeat then
    way, refusal = pacing.routeOf(ask, session, making, nil)
  end
  return way, refusal
end

function pacing.turnIn(ask, way)
  return max(1, pacing.paceOf(ask.account).ready - now, way.ready - now)
end
