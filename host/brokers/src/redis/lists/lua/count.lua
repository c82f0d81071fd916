-- What a queue has. KEYS: a lane's, with empty names for a consumer. Answers: what stands in the list; what consumers have; what waits for a
-- retry; what is delayed; names of consumers that are there; the group; the elements at the list's ends.
local topic, queue, readers, alive, landed, held, due, kept, later = unpack(KEYS)
if not is_list(topic) then
  return {}
end
local taken, members = 0, {}
for _, reader in ipairs(redis.call('SMEMBERS', readers)) do
  taken = taken + redis.call('HLEN', held .. reader)
  if redis.call('EXISTS', alive .. reader) == 1 then
    members[#members + 1] = reader
  end
end
local there = redis.call('LLEN', topic) + redis.call('LLEN', landed)
local function number_at(index)
  local item = redis.call('LINDEX', topic, index)
  return item and number_of(item) or ''
end
return {
  there,
  taken,
  redis.call('ZCARD', due),
  redis.call('ZCARD', later),
  members,
  redis.call('HGET', queue, 'group') or '',
  number_at(-1),
  number_at(0),
}
