-- Gives one dead letter back to the queue that it came from. KEYS: its list, then list, queue, due and kept of where it came from.
local grave, topic, queue, due, kept = unpack(KEYS)
local n, redrives, body = take(), take(), take()
if not is_list(grave) or not is_list(topic) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
if not place_of(grave, tonumber(n)) then
  return 0
end
local new = text(reserve(queue, 1) + 1)
redis.call('HSET', kept, 'm:' .. new, stamp(new, body))
write_facts(kept, new, { 1, 0, 0, redrives, 0 })
redis.call('ZADD', due, text(clock()), new)
take_out(grave, n)
return 1
