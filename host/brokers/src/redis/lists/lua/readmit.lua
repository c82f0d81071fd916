-- The same as giving back for a dead letter that another slot has. Whoever comes again because the letter is still there finds the mark.
-- KEYS: mark, then list, queue, due and kept of where it came from.
local mark, topic, queue, due, kept = unpack(KEYS)
local remember, redrives, body = take(), take(), take()
if not is_list(topic) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
if redis.call('EXISTS', mark) == 1 then
  return 0
end
make_alive(queue, due, kept, redrives, body)
redis.call('SET', mark, '', 'EX', remember)
return 1
