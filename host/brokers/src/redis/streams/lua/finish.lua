-- Finishes messages that are this consumer's for certain. What they publish, all of it to one topic, stands before this in one transaction, but
-- for the last: a command that fails stops no other there, and whatever refuses the others refuses the last one too. KEYS: stream, due, kept, and
-- the topic that is published to, or none. Answers how many were not there to finish, or what the last one was refused for.
local stream, due, kept, topic = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, fields, count = take(), take(), number(), number()
if topic then
  local last = redis.pcall('XADD', topic, '*', unpack(ARGV, #ARGV - fields + 1))
  if type(last) == 'table' then
    return last
  end
end
local finished = 0
for from = 1, count, 1000 do
  finished = finished + redis.call('XACK', stream, group, unpack(ARGV, at + from, at + math.min(from + 999, count)))
end
at = at + count
local retries = number()
for _ = 1, retries do
  local id, deliveries = take(), take()
  if held(kept, id, deliveries, consumer) then
    end_retry(due, kept, id)
    finished = finished + 1
  end
end
return count + retries - finished
