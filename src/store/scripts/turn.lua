-- P-03 for waiting requests of one website, oldest first. ARGV: 4 website, 5 where, 6 idle, 7 cookie site,
-- 8 how many, 9.. the wishes.
-- Answers {ask again in ..., for those before the settled one, the settled one's answer if there is one}.
idleMs, cookieSite = tonumber(ARGV[6]), ARGV[7]
if not base.hasPool() then
  return { 'pool' }
end
order.openSite(ARGV[4], tonumber(ARGV[5]))
local at, answers = 9, {}
for i = 1, tonumber(ARGV[8]) do
  local wish
  wish, at = wishes.readWish(at)
  local answer, way, _, pause = wishes.tryWish(wish, true)
  local account = wish.ask.account
  if answer then
    if wish.counted then
      pacing.countOut(account, wish.waitsFor)
      claims.passOn(account, wish.waitsFor, wish.next, max(0, pacing.paceOf(account).ready - now))
    end
    answers[i] = answer
    break
  end
  local askIn = pause or pacing.turnIn(wish.ask, way)
  claims.claim(account, wish.waitsFor, wish.since, pause and 0 or askIn)
  answers[i] = text(askIn)
end
order.closeSite()
return answers
