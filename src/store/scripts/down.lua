-- Copies a down time to where a part of the websites is on a cluster. ARGV: 4 upstream, 5 milliseconds.
call('ZREMRANGEBYSCORE', DOWN, '-inf', text(now))
call('ZADD', DOWN, text(max(base.downUntil(ARGV[4]), now + tonumber(ARGV[5]))), ARGV[4])
call('PEXPIRE', DOWN, text(DAY))
return 1
