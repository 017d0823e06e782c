-- Adds a part of a pool. ARGV: 4 '1' = of the copy that counts sessions, 5 how many upstreams,
-- 6.. for each its id, line and index; then fields and values of pool:<version>.
--   pool:<version>  hash: n:<region> -> '<places> <upstreams>', i<region>:<index> -> '<id> <place>',
--                         u<id> -> '<0 or 1 = rotating><region> <place>:<index in the region's ring> ...'
local count = tonumber(ARGV[5])
local at = 6
for _ = 1, count do
  local id, line, index = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  call('HSET', POOL, 'u' .. id, line)
  if ARGV[4] == '1' then
    local region = string.match(line, '^%d(%l*) ')
    local score = text(index - NEVER_GIVEN)
    call('ZADD', TAG .. 'hosts:', 'NX', score, id)
    if region ~= '' then
      call('ZADD', TAG .. 'hosts:' .. region, 'NX', score, id)
      call('SADD', TAG .. 'regions', region)
    end
  end
end
for i = at, #ARGV, 2 do
  call('HSET', POOL, ARGV[i], ARGV[i + 1])
end
call('PEXPIRE', POOL, text(POOL_LIFE))
return 1
