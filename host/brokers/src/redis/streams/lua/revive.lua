-- Gives one dead letter back to the group that failed. KEYS: its stream, then stream, due and kept of where it came from.
local grave, stream, due, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, group, redrives = take(), take(), take()
if #redis.call('XRANGE', grave, dead, dead) == 0 then
  return 0
end
local last
if redis.call('EXISTS', stream) == 1 then
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    if info[2] == group then
      last = info[8]
    end
  end
end
if not last then
  redis.call('XGROUP', 'CREATE', stream, group, '$', 'MKSTREAM')
  last = '0-0'
end
-- A place that no entry has, behind which the group has passed: numbers of that size are for redriven messages alone.
local n = redis.call('HINCRBY', kept, 'n', 1)
local millis = math.max(0, tonumber(string.match(last, '^%d+')) - 1)
local place = text(millis) .. '-' .. text(524288 + n % 524288)
local id = 'redriven-' .. text(n)
local fields = { unpack(ARGV, at + 1) }
redis.call('HSET', kept, 'm:' .. id, cmsgpack.pack(fields))
write_facts(kept, id, { place, 1, 0, 0, redrives, 0, '-' })
redis.call('ZADD', due, text(clock()), id)
redis.call('XDEL', grave, dead)
return 1
