-- Publishes one message that is to wait. KEYS: list, queue, later. Answers its number.
local delay, has_id, body = number(), take(), take()
if not is_list(KEYS[1]) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
return publish_later(KEYS[1], KEYS[2], KEYS[3], clock(), delay, has_id, body)
