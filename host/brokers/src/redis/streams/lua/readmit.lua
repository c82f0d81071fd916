-- The same as giving back for a dead letter that another slot has. Whoever comes again because the letter is still there finds the mark.
-- KEYS: mark, then stream, due and kept of where it came from.
local mark, stream, due, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local remember, group, redrives = take(), take(), take()
if redis.call('EXISTS', mark) == 1 then
  return 0
end
make_alive(stream, due, kept, group, redrives, { unpack(ARGV, at + 1) })
redis.call('SET', mark, '', 'EX', remember)
return 1
