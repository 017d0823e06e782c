-- Admission (P-01, H-07). ARGV: 4 website, 5 where, 6 idle, 7 cookie site, 8 hard limit, 9 '1' = overloaded,
-- 10.. the ask, then leavings of other requests: see `house.leaveAll`.
-- Answers {'go', upstream, session, making, cookies}, {'wait', delay, turn in, waits for, session, time} or {'no', ...}.
idleMs, cookieSite = tonumber(ARGV[6]), ARGV[7]
local ask = asks.readAsk(10)
if not base.hasPool() then
  return { 'pool' }
end
house.leaveAll(10 + ASK_FIELDS)
local session, refusal = house.knock(ask, ARGV[9] == '1')
if refusal then
  return refusal
end
order.openSite(ARGV[4], tonumber(ARGV[5]))
local way
way, refusal = pacing.routeOf(ask, session, false, nil)
if refusal then
  order.closeSite()
  return refusal
end
local delay = pacing.delayOf(ask, way)
if delay >= tonumber(ARGV[8]) then
  order.closeSite()
  return base.refuse('serverbusy', session and session.exit ~= '' and session.id or nil, delay, delay)
end
house.seat(ask.account)
local id = ask.by ~= '' and (session and session.id or ask.newId) or nil
local goes = delay == 0 and pacing.dispatch(ask, way, id)
if not goes then
  pacing.countIn(ask.account, way.waitsFor)
  claims.claimFirst(ask.account, way.waitsFor, came, pacing.turnIn(ask, way))
end
order.closeSite()
if ask.by ~= '' then
  if goes and not way.session then
    session = house.bringToLife(ask, session, way.exit)
  elseif not session then
    session = house.makeSession(ask.account, ask.newId, house.nameOf(ask), '')
  end
  house.enterSession(ask.account, session)
end
if goes then
  return pacing.go(ask.account, way.exit, session and session.id, session and not way.session)
end
return pacing.wait(delay, way, ask, session and session.id)
