-- Another turn for a request that has its seat (P-07). ARGV: 4 website, 5 where, 6 idle, 7 cookie site,
-- 8.. the wish.
-- Answers as `admit` does.
idleMs, cookieSite = tonumber(ARGV[6]), ARGV[7]
local wish = readWish(8)
if not hasPool() then
  return { 'pool' }
end
openSite(ARGV[4], tonumber(ARGV[5]))
local answer, way, session = tryWish(wish, false)
if answer then
  closeSite()
  return answer
end
countIn(wish.ask.account, way.waitsFor)
claimFirst(wish.ask.account, way.waitsFor, wish.since, turnIn(wish.ask, way))
closeSite()
if wish.ask.by ~= '' and not session then
  session = makeSession(wish.ask.account, wish.ask.newId, nameOf(wish.ask), '')
end
return wait(0, way, wish.ask, session and session.id)
