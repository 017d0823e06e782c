-- What a jar holds for a site; the jar counts as used (K-02, K-05). ARGV: 4 the jar, 5 site, 6 idle or ''.
--   jar:<jar>  hash: '' -> end of its life, <site> -> its cookies, least recently set first, each <identity> US <text> RS
-- A session's jar has no end of its own: it ends with the session.
local JAR, site, idle = TAG .. 'jar:' .. ARGV[4], ARGV[5], tonumber(ARGV[6])
local known = call('HMGET', JAR, '', site)
if not known[1] then
  return ''
end
if idle and tonumber(known[1]) <= now then
  call('DEL', JAR)
  return ''
end
call('HSET', JAR, '', text(now + (idle or 0)))
call('PEXPIRE', JAR, text((idle or 0) + DAY))
return known[2] or ''
