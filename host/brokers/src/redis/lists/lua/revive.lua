-- Gives one dead letter back to the queue that it came from. KEYS: its list, then list, queue, due and kept of where it came from.
local grave, topic, queue, due, kept = unpack(KEYS)
local n, redrives, body = take(), take(), take()
if not is_list(grave) or not is_list(topic) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
if not place_of(grave, tonumber(n)) then
  return 0
end
make_alive(queue, due, kept, redrives, body)
take_out(grave, n)
return 1
