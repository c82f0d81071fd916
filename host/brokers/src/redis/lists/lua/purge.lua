-- Empties a queue, or removes it; lanes begin anew. KEYS: a lane's, with empty names for a consumer. ARGV: whether the queue goes too.
local topic, queue, readers, alive, landed, held, due, kept, later = unpack(KEYS)
local removed = take()
if not is_list(topic) or redis.call('EXISTS', topic, queue) == 0 then
  return -1
end
local count = redis.call('LLEN', topic) + redis.call('LLEN', landed)
for _, reader in ipairs(redis.call('SMEMBERS', readers)) do
  redis.call('DEL', alive .. reader, held .. reader)
end
redis.call('DEL', topic, landed, readers, due, kept, later)
if removed == '1' then
  redis.call('DEL', queue)
else
  make(queue)
  begin_era(queue)
end
return count
