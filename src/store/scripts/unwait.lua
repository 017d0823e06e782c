-- A waiting request gives up waiting (P-06). ARGV: 4 website, 5 account, 6 what it waited for,
-- 7 '1' = it was the last of its kind in this process.
site = { name = ARGV[4] }
pacing.countOut(ARGV[5], ARGV[6])
if ARGV[7] == '1' then
  claims.passOn(ARGV[5], ARGV[6])
end
return 1
