-- Another turn for a request that has its seat (P-07). ARGV: 4 website, 5 where, 6 idle, 7 cookie site,
-- 8.. the wish.
-- Answers as `admit` does.
idleMs, cookieSite = tonumber(ARGV[6]), ARGV[7]
local wish = wishes.readWish(8)
if not base.hasPool() then
  return { 'pool' }
end
order.openSite(ARGV[4], tonumber(ARGV[5]))
local answer, way, session = wishes.tryWish(wish, false)
if answer then
  order.closeSite()
  return answer
end
pacing.countIn(wish.ask.account, way.waitsFor)
claims.claimFirst(wish.ask.account, way.waitsFor, wish.since, pacing.turnIn(wish.ask, way))
order.closeSite()
if wish.ask.by ~= '' and not session then
  session = house.makeSession(wish.ask.account, wish.ask.newId, house.nameOf(wish.ask), '')
end
return pacing.wait(0, way, wish.ask, session and session.id)
