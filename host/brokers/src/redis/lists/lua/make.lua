-- Makes a queue that has nothing in it yet. KEYS: list, queue.
if not is_list(KEYS[1]) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
local was_there = redis.call('EXISTS', KEYS[1]) == 1
return make(KEYS[2]) and not was_there and 1 or 0
