-- P-03 for waiting requests of one website, oldest first. ARGV: 4 website, 5 where, 6 idle, 7 how many, 8.. the wishes.
-- Answers {ask again in ..., for those before the settled one, the settled one's answer if there is one}.
idleMs = tonumber(ARGV[6])
if not hasPool() then
  return { 'pool' }
end
openSite(ARGV[4], tonumber(ARGV[5]))
local at, answers = 8, {}
for i = 1, tonumber(ARGV[7]) do
  local wish
  wish, at = readWish(at)
  local answer, way = tryWish(wish)
  if answer then
    if wish.counted then
      countOut(wish.ask.account, wish.waitsFor)
    end
    answers[i] = answer
    break
  end
  answers[i] = text(turnIn(wish.ask, way))
end
closeSite()
return answers
