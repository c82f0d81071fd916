-- Gives one dead letter back to the group that failed. KEYS: its stream, then stream, due and kept of where it came from.
local grave, stream, due, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, group, redrives = take(), take(), take()
if #redis.call('XRANGE', grave, dead, dead) == 0 then
  return 0
end
make_alive(stream, due, kept, group, redrives, { unpack(ARGV, at + 1) })
redis.call('XDEL', grave, dead)
return 1
