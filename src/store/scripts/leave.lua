-- Gives a seat back, touches and binds the session (S-11 to S-13).
-- ARGV: 4 idle, 5 account, 6 session or '', 7 '1' = it was made by this request, 8 upstream whose result was returned or ''.
idleMs = tonumber(ARGV[4])
local account = ARGV[5]
if give('s' .. SEP .. account) then
  freeSeats(account, 1)
end
local session = readSession(account, ARGV[6])
if not session then
  return 1
end
if ARGV[7] == '1' and ARGV[8] ~= '' and session.exit ~= '' and infoOf(ARGV[8]) then
  bind(session, ARGV[8])
end
leaveSession(account, session, give('r' .. SEP .. account .. SEP .. session.id) and 1 or 0)
return 1
