-- Gives seats back, touches and binds sessions (S-11 to S-13). ARGV: 4 idle, 5.. the leavings: see `house.leaveAll`.
idleMs = tonumber(ARGV[4])
house.leaveAll(5)
return 1
