-- An upstream is down for a while unless it is the last one up (A-04). ARGV: 4 upstream, 5 milliseconds.
-- Answers the milliseconds it is down for, 0 when it stays up.
local id = ARGV[4]
if not base.hasPool() then
  return { 'pool' }
end
if not base.infoOf(id) then
  return '0'
end
call('ZREMRANGEBYSCORE', DOWN, '-inf', text(now))
local _, up = base.sizeOf('')
for _, down in ipairs(call('ZRANGE', DOWN, 0, -1)) do
  if base.infoOf(down) then
    up = up - 1
  end
end
if not call('ZSCORE', DOWN, id) then
  up = up - 1
end
if up < 1 then
  return '0'
end
local over = max(base.downUntil(id), now + tonumber(ARGV[5]))
call('ZADD', DOWN, text(over), id)
call('PEXPIRE', DOWN, text(DAY))
return text(over - now)
