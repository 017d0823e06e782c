-- Admission (P-01, H-07). ARGV: 4 website, 5 where, 6 idle, 7 cookie site, 8 hard limit, 9 '1' = overloaded,
-- 10.. the ask.
-- Answers {'go', upstream, session, making, cookies}, {'wait', delay, turn in, waits for, session, time} or {'no', ...}.
idleMs, cookieSite = tonumber(ARGV[6]), ARGV[7]
local ask = readAsk(10)
if not hasPool() then
  return { 'pool' }
end
local session, refusal = knock(ask, ARGV[9] == '1')
if refusal then
  return refusal
end
openSite(ARGV[4], tonumber(ARGV[5]))
local way
way, refusal = routeOf(ask, session, false, nil)
if refusal then
  closeSite()
  return refusal
end
local delay = delayOf(ask, way)
if delay >= tonumber(ARGV[8]) then
  closeSite()
  return refuse('serverbusy', session and session.exit ~= '' and session.id or nil, delay, delay)
end
seat(ask.account)
local id = ask.by ~= '' and (session and session.id or ask.newId) or nil
local goes = delay == 0 and dispatch(ask, way, id)
if not goes then
  countIn(ask.account, way.waitsFor)
  claimFirst(ask.account, way.waitsFor, came, turnIn(ask, way))
end
closeSite()
if ask.by ~= '' then
  if goes and not way.session then
    session = bringToLife(ask, session, way.exit)
  elseif not session then
    session = makeSession(ask.account, ask.newId, nameOf(ask), '')
  end
  enterSession(ask.account, session)
end
if goes then
  return go(ask.account, way.exit, session and session.id, session and not way.session)
end
return wait(delay, way, ask, session and session.id)
