-- Publishes one message that is to wait. KEYS: stream, later, later-kept.
local delay = number()
return publish_later(KEYS[1], KEYS[2], KEYS[3], clock(), delay, { unpack(ARGV, at + 1) })
