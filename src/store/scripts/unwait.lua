-- A waiting request gives up waiting (P-06). ARGV: 4 website, 5 account, 6 what it waited for.
site = { name = ARGV[4] }
countOut(ARGV[5], ARGV[6])
return 1
