-- DELETE /sessions/<id> (S-06). ARGV: 4 idle, 5 account, 6 id. Answers 1, or 0 when there is no such live session.
idleMs = tonumber(ARGV[4])
if not base.hasPool() then
  return { 'pool' }
end
house.expire(ARGV[5])
local one = house.knownSession(ARGV[5], ARGV[6])
if not one or one.exit == '' then
  return 0
end
house.finish(ARGV[5], one)
return 1
