-- A lane says that it is there, and hears whether it still is one. Needs no memory, so that a full server takes nobody's messages away.
-- KEYS: alive, queue.
local lease, era = take(), take()
if redis.call('PEXPIRE', KEYS[1], lease) == 0 or redis.call('HGET', KEYS[2], 'era') ~= era then
  return 0
end
return 1
