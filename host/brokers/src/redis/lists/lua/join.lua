-- A consumer joins. KEYS: a lane's. Answers the era, or whose queue it is.
local topic, queue, readers, alive = unpack(KEYS, 1, 4)
local group, consumer, lease = take(), take(), take()
if not is_list(topic) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
local other = redis.call('HGET', queue, 'group')
if other and other ~= group then
  local stem = string.sub(alive, 1, #alive - #consumer)
  for _, reader in ipairs(redis.call('SMEMBERS', readers)) do
    if redis.call('EXISTS', stem .. reader) == 1 then
      return { 0, other }
    end
  end
end
make(queue)
redis.call('HSET', queue, 'group', group)
redis.call('SADD', readers, consumer)
redis.call('SET', alive, '', 'PX', lease)
return { 1, redis.call('HGET', queue, 'era') }
