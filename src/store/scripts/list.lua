-- Live sessions of an account (S-05). ARGV: 4 idle, 5 account. Answers {id, upstream, ...} in order of last use.
idleMs = tonumber(ARGV[4])
if not base.hasPool() then
  return { 'pool' }
end
house.expire(ARGV[5])
local listed = { 'list' }
for _, id in ipairs(call('ZRANGE', house.sessionsOf(ARGV[5]), 0, -1)) do
  local one = house.knownSession(ARGV[5], id)
  if one and one.exit ~= '' then
    listed[#listed + 1] = id
    listed[#listed + 1] = one.exit
  end
end
return listed
