-- A dispatched request brings its session to life on a cluster. ARGV: 4 idle, 5 account, 6 session, 7 upstream,
-- 8 '1' = the request was not counted in it yet. Answers 1, or 0 when the session ended meanwhile.
idleMs = tonumber(ARGV[4])
if not base.hasPool() then
  return { 'pool' }
end
local one = house.readSession(ARGV[5], ARGV[6])
if not one then
  return 0
end
if one.exit == '' then
  house.bind(one, ARGV[7])
  house.giveTo(one.exit, one.region)
  house.keep(ARGV[5], one)
end
if ARGV[8] == '1' then
  house.enterSession(ARGV[5], one)
end
return 1
