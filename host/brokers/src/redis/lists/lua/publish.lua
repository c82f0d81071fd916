-- Appends messages. KEYS: list, queue. ARGV: their fields. Answers the number before the first.
if not is_list(KEYS[1]) then
  return redis.error_reply('WRONGTYPE the key is no list')
end
return text(push(KEYS[1], KEYS[2], ARGV))
